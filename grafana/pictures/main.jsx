// Draws the panels of a dashboard with Grafana's components. `window.draw(document, answers)` is called from outside;
// `answers` holds the data frames of each panel by its id.
import {
  createTheme, dateTime, EventBusSrv, FieldType, getDisplayProcessor, getMinMaxAndDelta, standardTransformers, standardTransformersRegistry,
  ThemeContext, toDataFrame, transformDataFrame,
} from "@grafana/data";
import { BarGauge, BigValue, PanelContextProvider, Table, TimeSeries } from "@grafana/ui";
import { Component } from "react";
import { createRoot } from "react-dom/client";
import { firstValueFrom } from "rxjs";

const WIDTH = 1600;
const COLUMN = WIDTH / 24;
const LINE = 38;
const theme = createTheme({ colors: { mode: "dark" } });

standardTransformersRegistry.setInit(() =>
  [
    standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer,
    standardTransformers.convertFieldTypeTransformer, standardTransformers.sortByTransformer,
    standardTransformers.groupingToMatrixTransformer,
  ].map((each) => ({
    id: each.id, name: each.name, transformation: async () => each, editor: () => null, description: "", tags: new Set(),
  })),
);

function fits({ id, options }, field, name, frame) {
  if (id === "byType") return field.type === options;
  return options === (id === "byFrameRefID" ? frame.refId : name);
}

/** Gives every field the options of the panel, as Grafana does before it draws. */
function configured(panel, frames) {
  const { defaults, overrides } = panel.fieldConfig;
  for (const frame of frames) {
    frame.fields.forEach((field, index) => {
      const name = field.config.displayName ?? field.config.displayNameFromDS ?? field.name;
      field.config = { color: { mode: "palette-classic" }, ...structuredClone(defaults), ...field.config, links: [] };
      for (const { matcher, properties } of overrides) {
        if (!fits(matcher, field, name, frame)) continue;
        for (const { id, value } of properties) {
          if (id.startsWith("custom.")) field.config.custom = { ...field.config.custom, [id.slice(7)]: value };
          else if (id !== "links") field.config[id] = value;
        }
      }
      if (field.type === FieldType.time) field.config.unit = undefined;
      field.state = { ...field.state, seriesIndex: index + frames.indexOf(frame) - 1 };
      field.display = getDisplayProcessor({ field, theme });
      field.getLinks = () => [];
    });
  }
  return frames;
}

function values(frames) {
  return frames.flatMap((frame) => frame.fields.filter((field) => field.type === FieldType.number));
}

function shown(field, title) {
  return { ...field.display(field.values[field.values.length - 1]), title };
}

function Body({ panel, frames, width, height, range }) {
  if (!frames.length) return <div className="elsewhere">No data</div>;
  const [first] = values(frames);
  switch (panel.type) {
    case "stat": {
      return frames.map((frame) => {
        const time = frame.fields.find((field) => field.type === FieldType.time);
        const [figure] = values([frame]);
        figure.state = { ...figure.state, range: getMinMaxAndDelta(figure) };
        const line = figure.values.length > 1 ? { y: figure, x: time } : undefined;
        return <div key={frame.refId} style={{ height: height / frames.length, overflow: "hidden" }}>
          <BigValue theme={theme} width={width} height={height / frames.length} value={shown(figure)} sparkline={line}
            colorMode="value" graphMode="area" textMode="value" justifyMode="auto" />
        </div>;
      });
    }
    case "bargauge": {
      const fields = values(frames).slice(0, Math.floor(height / 24));
      const most = Math.max(...fields.map((field) => field.values[0]));
      return fields.map((field) => {
        field.config = { ...field.config, min: 0, max: most };
        const display = getDisplayProcessor({ field, theme });
        const value = { ...display(field.values[0]), title: field.config.displayNameFromDS };
        return <BarGauge key={value.title} theme={theme} width={width} height={Math.min(40, height / fields.length)}
          field={field.config} display={display} value={value} orientation="horizontal" displayMode="basic"
          itemSpacing={4} alignmentFactors={{ title: "antminer antminer 12345", text: "1000.00 TH/s" }} />;
      });
    }
    case "timeseries":
      return <TimeSeries frames={frames} timeRange={range} timeZone="utc" width={width} height={height}
        legend={{ showLegend: true, displayMode: "list", placement: "bottom", calcs: [] }} options={{}} />;
    case "table":
      return <Table data={frames[0]} width={width} height={height} initialSortBy={panel.options.sortBy} />;
    default:
      return <div className="elsewhere">Heat maps and strips of states are drawn by Grafana itself only.</div>;
  }
}

/** One panel that cannot be drawn does not take the others with it. */
class Boundary extends Component {
  state = { words: null };
  static getDerivedStateFromError(error) {
    return { words: String(error) };
  }
  render() {
    return this.state.words ? <div className="elsewhere">{this.state.words}</div> : this.props.children;
  }
}

async function prepared(panel, answer) {
  let frames = (answer ?? []).map((frame) => toDataFrame(frame));
  if (panel.type === "table" && frames.length) {
    frames = await firstValueFrom(transformDataFrame(panel.transformations, frames));
    for (const frame of frames) {
      frame.fields = frame.fields.filter((field) => !["miner", "page", "ip", "name"].includes(field.config.displayName ?? field.name));
    }
  }
  return configured(panel, frames.filter((frame) => frame.length));
}

window.draw = async (document_, answers, from, to) => {
  const range = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };
  const boxes = [];
  for (const panel of document_.panels) {
    const { x, y, w, h } = panel.gridPos;
    const place = { left: x * COLUMN + 4, top: y * LINE + 4, width: w * COLUMN - 8, height: h * LINE - 8 };
    if (panel.type === "row") {
      boxes.push(<div key={panel.id} className="row" style={place}>{panel.title}</div>);
      continue;
    }
    const frames = await prepared(panel, answers[panel.id]);
    boxes.push(
      <div key={panel.id} className="panel" style={place}>
        <h2>{panel.title.replace("${currency}", "EUR")}</h2>
        <Boundary>
          <Body panel={panel} frames={frames} width={place.width - 12} height={place.height - 36} range={range} />
        </Boundary>
      </div>,
    );
  }
  const rows = Math.max(...document_.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  const root = document.getElementById("dashboard");
  root.style.height = `${rows * LINE + 8}px`;
  const context = { eventBus: new EventBusSrv(), onToggleSeriesVisibility() {} };
  createRoot(root).render(
    <ThemeContext.Provider value={theme}>
      <PanelContextProvider value={context}>{boxes}</PanelContextProvider>
    </ThemeContext.Provider>,
  );
};
