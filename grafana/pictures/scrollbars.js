// A CommonJS module that Grafana imports by its default export, which bundlers give in different ways.
import * as all from "react-custom-scrollbars-2/lib/index.js";

export default all.Scrollbars ?? all.default?.Scrollbars ?? all.default;
