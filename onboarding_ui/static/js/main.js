// What every page loads. Each module listens on the document, so that content that is refreshed needs no wiring.
import "./theme.js";
import "./drivers.js";
import "./forms.js";
import "./optimistic.js";
import "./live.js";
import "./inline.js";
import "./times.js";
import { showKept } from "./messages.js";

document.documentElement.classList.add("js");
showKept();
