// Light or dark, before anything is painted: what was chosen here, or what the system wants.
(() => {
  const chosen = () => {
    try {
      return localStorage.getItem("rota-theme");
    } catch {
      return null; // no storage: the system's wish each time
    }
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const theme = chosen();
    document.documentElement.dataset.theme = theme === "light" || theme === "dark" ? theme : dark.matches ? "dark" : "light";
    document.dispatchEvent(new Event("rota-theme"));
  };
  window.rotaTheme = {
    next() {
      const wanted = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      try {
        localStorage.setItem("rota-theme", wanted);
      } catch {
        document.documentElement.dataset.theme = wanted;
      }
      show();
    },
  };
  dark.addEventListener("change", show);
  addEventListener("storage", show);
  show();
})();
