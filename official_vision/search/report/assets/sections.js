// Costs, pruning, and the derived network beside the paper's network.

const WIDEST_BESIDE = 1000; // pixels of a drawing

function showCosts(report, momentOf) {
  const { drawing, timeline, gate } = report.network;
  reveal("costs");
  const cost = (index) => costAt(report, index, momentOf());
  const strength = (index) => strengthAt(report, index, momentOf());
  const rows = drawing.connections.map((one, index) => index);
  const largest = Math.max(...rows.map((index) => cost(index) ?? 0));
  byId("costs-text").textContent = `Operations for one clip (${report.costs.clip}; a multiply-add is 2): pooling, `
    + `scaling, the connection's share of 1 x 1 convolutions${gate === "peer" ? ", and its gate with the peers as "
    + "likely as they are at the step" : gate === "none" ? "" : ", and its gate"}. The whole network takes ${
      scaled(report.costs.whole)}.`;
  const columns = [
    { title: "Connection", value: (index) => index, text: (index) => connectionName(drawing.connections[index]) },
    { title: "Operations a clip", value: cost, text: (index) => element("span", {}, barOf(cost(index), largest),
      scaled(cost(index))) },
    { title: "Share of the network", value: cost, text: (index) => (cost(index) === null ? "not built"
      : percent(cost(index) / report.costs.whole, 2)) },
    { title: "Strength", value: strength, text: (index) => fixed(strength(index)) }];
  if (gate === "peer") {
    columns.push({ title: "Likeliest peer", value: (index) => choiceAt(report, index, momentOf())?.peer,
      text: (index) => peerText(report, index, momentOf()) });
  }
  const made = makeTable(columns, rows, `${rows.length} connections${
    timeline ? "; strengths and peers at the slider's step" : ""}`);
  byId("costs-table").replaceChildren(made.table);
  return made;
}

function barOf(value, largest) {
  const bar = element("span", { class: "bar", "aria-hidden": "true" });
  bar.style.width = `${largest && value ? (120 * value) / largest : 0}px`;
  return bar;
}

function showPruning({ pruning }) {
  reveal("pruning");
  const { metric, points, measured, step } = pruning;
  const charts = [];
  const x = { label: "connections kept", whole: true, min: 0 };
  const scored = measured.filter((row) => row.score !== null);
  if (scored.length) {
    const looks = { "one-shot": ["ink", true], "discrete, retrained": ["rgb", false] };
    charts.push(makeChart({ title: `${metric} against kept connections`, x,
      y: { label: metric, ...(scored.every((row) => row.score >= 0 && row.score <= 1) ? { min: 0, max: 1 } : {}) },
      series: scored.map((row) => ({ name: row.title, kind: "dots", points: [[row.connections, row.score]],
        width: 6, stroke: colour((looks[row.title] ?? ["flow"])[0]), hollow: (looks[row.title] ?? [])[1],
        titles: [`${row.title}: ${row.score.toFixed(4)}`] })),
      entries: scored.filter((row, place) => scored.findIndex((other) => other.title === row.title) === place).map((row) => ({ label: `${row.title} (${row.steps} steps)`,
        sample: sample({ stroke: colour((looks[row.title] ?? ["flow"])[0]), width: 0, dot: 5 }) })) }));
  }
  const line = (key) => points.map((point) => [point.connections, point[key]]).reverse();
  const unit = unitOf(Math.max(...points.map((point) => point.flops)));
  charts.push(makeChart({ title: "Cost against kept connections", x, y: { label: `${unit.name}FLOPs per clip`, min: 0 },
    series: [{ name: "cost", points: line("flops").map(([connections, flops]) => [connections, flops / unit.size]),
      stroke: colour("ink") }] }));
  charts.push(makeChart({ title: "Connections kept against the threshold",
    x: { label: "threshold: weaker connections are dropped", min: 0, max: 1 }, y: { label: "connections kept", min: 0 },
    series: [{ name: "kept", kind: "step", stroke: colour("ink"),
      points: [...points.map((point) => [point.threshold, point.connections])] }] }));
  byId("pruning-text").textContent = `What would stay of the network of step ${step} if weak connections went. A block `
    + "keeps its strongest input; nodes that then lead nowhere go too."
    + (scored.length ? "" : " Accuracy was not measured here, and is not shown.");
  byId("pruning-charts").replaceChildren(...charts.map((chart) => chart.figure));
  if (measured.length) {
    const columns = [
      { title: "Network", value: (row) => row.title, text: (row) => row.title },
      { title: "Connections", value: (row) => row.connections, text: (row) => String(row.connections) },
      { title: "Nodes", value: (row) => row.nodes, text: (row) => String(row.nodes) },
      { title: "Parameters", value: (row) => row.parameters, text: (row) => scaled(row.parameters) },
      { title: "FLOPs per clip", value: (row) => row.flops, text: (row) => scaled(row.flops) },
      { title: "Steps", value: (row) => row.steps, text: (row) => String(row.steps) },
      { title: metric, value: (row) => row.score, text: (row) => fixed(row.score, 4) }];
    byId("pruning-table").replaceChildren(makeTable(columns, measured, "Networks that were evaluated").table);
  }
}

function unitOf(largest) {
  const units = [{ size: 1e12, name: "T" }, { size: 1e9, name: "G" }, { size: 1e6, name: "M" }];
  return units.find((unit) => largest >= unit.size) ?? { size: 1, name: "" };
}

function showDerived({ derived }) {
  reveal("derived");
  const { entries, published } = derived;
  const select = byId("derived-select");
  select.replaceChildren(...entries.map((entry, index) => element("option", { value: index }, entry.title)));
  byId("derived-choice").hidden = entries.length < 2;

  function show(entry) {
    byId("derived-title").textContent = entry.title;
    makeGraph(byId("derived-graph"), entry.drawing, { label: entry.title });
    // Side by side a network of many columns would be too small to read.
    byId("derived-graph").closest(".beside").classList.toggle("stacked", entry.drawing.width > WIDEST_BESIDE);
    graphLegend(byId("derived-legend"), entry.drawing.gates.length ? entry.drawing : published.drawing);
    byId("derived-table").replaceChildren(comparison([entry, published]));
  }

  select.addEventListener("change", () => show(entries[Number(select.value)]));
  byId("published-title").textContent = published.title;
  makeGraph(byId("published-graph"), published.drawing, { label: published.title });
  show(entries[0]);
}

function comparison(entries) {
  const number = (name, text) => ({ value: (entry) => entry.figures[name], text: (entry) => text(entry.figures[name]) });
  return makeTable([
    { title: "Network", value: (entry) => entry.title, text: (entry) => entry.title },
    { title: "Nodes", ...number("nodes", String) },
    { title: "Connections", ...number("connections", String) },
    { title: "Parameters", ...number("parameters", scaled) },
    { title: "FLOPs per clip", ...number("flops", scaled) }],
  entries, "At the same depth, width and clip; a multiply-add is 2 FLOPs").table;
}
