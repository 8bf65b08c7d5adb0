// .tabs: where there is no room for all of them, the current one is scrolled into sight.
import { wherever } from "./wherever.js";

wherever(".tabs [aria-current]", (tab) => {
  const tabs = tab.parentElement;
  tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.clientWidth) / 2;
});
