// The page that asks for the token: where to go on afterwards, and whether the last one was wrong.
const asked = new URLSearchParams(location.search);
document.getElementById("to").value = asked.get("to") ?? "/";
document.getElementById("wrong").hidden = !asked.has("wrong");
