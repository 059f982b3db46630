// News from the server: one stream for the page that is shown, none while nobody looks.
//
// A browser opens six connections to a server at most, so a tab that is hidden lets its stream go, and is told
// everything when it comes back. After a connection that was lost the browser says what it saw last.

const RETRY_MS = 2000;

class Live {
  constructor() {
    this.session = null;
    this.offset = 0; // the server's clock less this one's
    this.parts = new Map();
    this.failure = null;
    this.state = "waiting";
    this.lastNews = null;
    this.looked = false;
    this.listener = () => {};
    this.group = null;
    this.source = null;
    this.timer = 0;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.leave("asleep") : this.open()));
    addEventListener("pagehide", () => this.leave("asleep"));
    addEventListener("pageshow", (event) => event.persisted && this.open());
  }

  now() {
    return Date.now() + this.offset;
  }

  // Shows another page: group "" is the list.
  follow(group, listener) {
    this.leave("waiting");
    this.group = group;
    this.listener = listener;
    this.parts = new Map();
    this.looked = false;
    this.open();
  }

  leave(state) {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.is(state);
  }

  is(state) {
    if (this.state === state) return;
    this.state = state;
    document.dispatchEvent(new Event("rota-pulse"));
  }

  async open() {
    if (this.source || this.group === null || document.hidden) return;
    clearTimeout(this.timer);
    const source = new EventSource(`/api/events?group=${encodeURIComponent(this.group)}`);
    this.source = source;
    source.onmessage = (event) => this.source === source && this.take(JSON.parse(event.data));
    source.onerror = () => {
      if (this.source !== source) return;
      this.is("away");
      if (source.readyState === EventSource.CLOSED) {
        this.leave("away");
        this.timer = setTimeout(() => this.again(), RETRY_MS);
      }
    };
  }

  // The stream was refused: the token may have changed, or too many pages are open.
  async again() {
    try {
      const answer = await fetch("/api/session");
      if (answer.status === 401) return location.reload();
    } catch {
      // not there yet
    }
    return this.open();
  }

  async take(news) {
    if (news.whole) this.parts.clear();
    for (const [key, part] of Object.entries(news.set)) this.parts.set(key, part);
    for (const key of news.gone) this.parts.delete(key);
    this.offset = news.now_ms - Date.now();
    this.lastNews = Date.now();
    this.intervalS = news.interval_s;
    this.failure = news.failure;
    this.logFailure = news.log_failure;
    this.looked = true;
    this.is("live");
    document.dispatchEvent(new Event("rota-pulse"));
    this.listener(new Set([...Object.keys(news.set), ...news.gone]), news.whole);
  }
}

export const live = new Live();

// After a restart the server has another secret: ask anew each time something is to be changed.
export async function session() {
  const answer = await fetch("/api/session");
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

// An error with `refused` is the server's own no; any other leaves open what was done.
export async function change(path, document) {
  const { header, secret } = await session();
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", [header]: secret },
    body: JSON.stringify(document),
  });
  if (answer.ok) return answer.json();
  const error = new Error((await answer.text()).trim() || `the server answered ${answer.status}`);
  error.refused = answer.status < 500;
  throw error;
}
