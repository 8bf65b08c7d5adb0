// htmx for a strict Content-Security-Policy. A module of its own, because it comes before all that uses htmx.
import htmx from "htmx.org";

Object.assign(htmx.config, {
  allowEval: false,
  allowScriptTags: false,
  includeIndicatorStyles: false, // they would be an inline style
  attributesToSettle: ["class"], // "style" among them would be one too
  defaultSettleDelay: 0, // until it settles what came in is not htmx's: a form's second press would be a page's
  selfRequestsOnly: true,
  historyCacheSize: 0, // pages show customers' data: nothing of them is kept in the browser's storage
});
