// [data-live="/deliveries/stream?…"]: hears what changes, and moves nothing: new rows are counted, and come with a click.
//   button[data-live-count]                    inside; hidden while there is nothing new, else it says "14 new"
//   [data-live-words="cut"], ="ended"          inside; say that nothing is heard: for now, or until the page is loaded again
//   [data-live-list="#rows"]                   on the element: what a click loads again from the page's own address
//   [data-live-row="/deliveries/{id}/row"]     on the element: where the row of a delivery that is shown comes from anew
//   [data-delivery="dlv_…"]                    a row that is shown
// The stream's messages are JSON: {"delivery_id": "dlv_…", "admitted": true}, where false is one that the list would not
// show, so that only its row, if it stands there from before, comes anew; or {"count": 12} for those that came too fast.
import htmx from "htmx.org";

import { whenRemoved, wherever } from "./wherever.js";

const CALM = 500; // ms that changes of one row are gathered
const MOST_ROWS = 50; // rows at once: a flood is not worth a request for each

wherever("[data-live]", (element) => {
  const stream = new LiveStream(element);
  stream.open();
  const follow = () => (document.hidden ? stream.close() : stream.open());
  document.addEventListener("visibilitychange", follow);
  whenRemoved(element, () => {
    document.removeEventListener("visibilitychange", follow);
    stream.close();
  });
});

class LiveStream {
  constructor(element) {
    this.element = element;
    this.button = element.querySelector("[data-live-count]");
    this.forget();
    this.isStale = false; // something may have come while nobody looked, or nothing could be heard
    this.changed = new Set();
    this.button?.addEventListener("click", () => this.reload());
  }

  open() {
    if (this.source) return;
    this.source = new EventSource(this.element.dataset.live);
    this.source.onmessage = (message) => this.hear(JSON.parse(message.data));
    this.source.onopen = () => this.become("on");
    this.source.onerror = () => {
      this.isStale = true;
      this.become(this.source.readyState === EventSource.CLOSED ? "ended" : "cut"); // the browser tries again by itself
    };
    this.show();
  }

  close() {
    this.source?.close();
    this.isStale ||= this.source !== undefined;
    this.source = undefined;
    this.become("off");
  }

  become(state) {
    this.element.dataset.liveState = state;
    for (const words of this.element.querySelectorAll("[data-live-words]")) words.hidden = words.dataset.liveWords !== state;
    this.show();
  }

  hear(note) {
    if (note.count) this.missed += note.count;
    else if (this.row(note.delivery_id)) this.refresh(note.delivery_id);
    else if (note.admitted !== false) this.arrived.add(note.delivery_id);
    this.show();
  }

  show() {
    if (!this.button) return;
    const count = this.arrived.size + this.missed;
    const isHeard = !["cut", "ended"].includes(this.element.dataset.liveState);
    this.button.hidden = count === 0 && !(this.isStale && isHeard);
    this.button.textContent = count === 0 ? "Show what is new" : `${count}${this.isStale ? " or more" : ""} new`;
  }

  forget() {
    this.arrived = new Set();
    this.missed = 0;
  }

  async reload() {
    const list = this.element.dataset.liveList;
    this.forget();
    this.isStale = false;
    this.show();
    const here = location.pathname + location.search;
    await htmx.ajax("GET", here, { source: list, target: list, select: list, swap: "outerHTML" });
    this.element.querySelector(`${list} tr[tabindex]`)?.focus(); // the button that was pressed is hidden
  }

  row(id) {
    return this.element.querySelector(`[data-delivery="${CSS.escape(id)}"]`);
  }

  refresh(id) {
    const address = this.element.dataset.liveRow;
    if (!address || this.changed.has(id) || this.changed.size >= MOST_ROWS) return;
    this.changed.add(id);
    setTimeout(async () => {
      this.changed.delete(id);
      const row = this.row(id);
      if (!row) return;
      const hadFocus = row === document.activeElement;
      await htmx.ajax("GET", address.replace("{id}", encodeURIComponent(id)), { source: row, target: row, swap: "outerHTML" });
      if (hadFocus) this.row(id)?.focus();
    }, CALM);
  }
}
