// Charts by uPlot, with a marker, emphasis on some series, and the value at the pointer.

const REACH = 30; // pixels from the pointer to the value that it shows
const LABEL_GAP = 13; // pixels between labels

// series: {name, points: [[x, y], ...], kind: line | step | dots | crosses, stroke, width, opacity, dash, hollow,
//   constant: never dimmed, short: a name for the end, labels: one text per point, titles: a longer one for the pointer}
// x, y: {label, min, max, whole}. Returns {figure, mark(x), emphasise(names or null)}; figure.plot is uPlot's object.
function makePlot({ title, x, y, series, entries = [], describe = "" }) {
  const host = element("div", { role: "img", "aria-label": `${title}. ${describe}` });
  const key = element("div", { class: "legend" });
  legend(key, entries);
  const figure = element("figure", { class: "chart" }, element("figcaption", {}, title), host, key);
  const marker = element("div", { class: "marker" });
  const labels = element("div");
  const tip = element("div", { class: "tip", hidden: true });
  const state = { marked: null, chosen: null, focused: null };

  function place() {
    const left = plot.valToPos(state.marked, "x");
    marker.hidden = state.marked === null || left < 0 || left > plot.over.clientWidth;
    marker.style.left = `${left}px`;
    labels.replaceChildren(...pointLabels(plot, series), ...endLabels(plot, series, state.chosen));
  }

  // Where a line goes through a dot, the dot's longer text is shown.
  function distance(self, number, index) {
    return Math.hypot(...away(self, number, index)) + (series[number - 1].titles ? 0 : 1);
  }

  function point() {
    const index = state.focused && plot.cursor.idxs[state.focused];
    tip.hidden = index === null;
    if (index === null) return;
    const one = series[state.focused - 1];
    const [left, top] = placeOf(plot, state.focused, index);
    const [at, value] = one.points[index].map((number) => Number(number.toPrecision(5)));
    tip.textContent = one.titles?.[index] ?? `${one.name}: ${value} at ${at}`;
    tip.style.left = `${Math.max(0, Math.min(left + 10, plot.over.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${top + (top > tip.offsetHeight + 12 ? -12 - tip.offsetHeight : 12)}px`;
  }

  const plot = new uPlot({ mode: 2, ...sizeOf(560), padding: [10, 30, 0, 0], legend: { show: false, live: false },
    scales: { x: { time: false, range: ranged(x) }, y: { range: ranged(y) } }, axes: [axisOf(x), axisOf(y, true)],
    series: [null, ...series.map(seriesOf)],
    cursor: { x: false, y: false, drag: { x: false, y: false }, dataIdx: nearest,
      points: { one: true, size: 14, width: 2, fill: "transparent", stroke: painted("var(--accent)") },
      focus: { alpha: 1, prox: REACH, dist: distance } },
    hooks: { draw: [place], setCursor: [point], setSeries: [(self, number) => { state.focused = number; }] },
  }, [null, ...series.map(({ points }) => [points.map(([at]) => at), points.map(([, value]) => value)])], host);
  plot.over.append(marker, labels, tip);
  figure.plot = plot;
  new ResizeObserver(() => plot.setSize(sizeOf(host.clientWidth))).observe(host);

  function mark(value) {
    state.marked = value;
    place();
  }

  // Brings some series forward and writes their short names at their ends; null lets all be equal.
  function emphasise(chosen) {
    state.chosen = chosen;
    series.forEach((one, index) => {
      const share = chosen === null ? 1 : chosen.has(one.name) ? 1.6 : 0.15;
      plot.series[index + 1].alpha = one.constant ? 1 : Math.min(1, (one.opacity ?? 1) * share);
    });
    plot.redraw(false);
  }

  emphasise(null);
  return { figure, mark, emphasise };
}

function sizeOf(width) {
  return { width: Math.max(width, 200), height: Math.min(Math.max(width * 0.57, 290), 380) };
}

// A little wider than the values; a single value gets room around it.
function ranged({ min, max }) {
  return (plot, low, high) => {
    const room = high > low ? (high - low) * 0.05 : Math.abs(high) * 0.1 || 0.5;
    return [min ?? low - room, max ?? high + room];
  };
}

function axisOf({ label, whole }, isUpright) {
  const family = getComputedStyle(document.body).fontFamily;
  return { label, labelSize: 22, labelFont: `13px ${family}`, font: `12px ${family}`, stroke: painted("var(--ink)"),
    grid: { show: Boolean(isUpright), stroke: painted("var(--line)"), width: 1 },
    ticks: { show: !isUpright, stroke: painted("var(--soft)"), width: 1, size: 5 },
    border: { show: !isUpright, stroke: painted("var(--soft)"), width: 1 },
    size: isUpright ? (plot, texts) => 14 + 7 * Math.max(2, ...(texts ?? []).map((text) => text.length)) : 28,
    filter: (plot, values) => values.map((value) => (whole && value % 1 ? null : value)) };
}

function seriesOf({ name, kind = "line", stroke, width, dash, hollow }) {
  const look = { label: name, stroke: painted(stroke), points: { show: false } };
  if (kind === "step") return { ...look, width: width ?? 2, paths: uPlot.paths.stepped({ align: 1 }) };
  if (kind === "line") return { ...look, width: width ?? 2, dash: dash?.split(" ").map(Number) };
  return { ...look, paths: () => null, points: { show: true, filter: (plot, number) => [...plot.data[number][0].keys()],
    size: 2 * width + 1.5, width: 1.5, fill: painted(hollow ? "var(--paper)" : stroke),
    ...(kind === "crosses" ? { paths: crosses } : {}) } };
}

// A canvas knows no variables of CSS.
function painted(stroke) {
  return getComputedStyle(document.documentElement).getPropertyValue(stroke.slice(4, -1)).trim();
}

function crosses(plot, number, first, last, indices) {
  const path = new Path2D();
  const size = 4 * devicePixelRatio;
  for (const [x, y] of indices.map((index) => placeOf(plot, number, index, true))) {
    path.addPath(new Path2D(`M${x - size} ${y - size}l${2 * size} ${2 * size}m0 ${-2 * size}l${-2 * size} ${2 * size}`));
  }
  return { stroke: path, fill: null, flags: 0 };
}

// A point's distances from the left and the top, in pixels.
function placeOf(plot, number, index, onCanvas = false) {
  const [xs, ys] = plot.data[number];
  return [plot.valToPos(xs[index], "x", onCanvas), plot.valToPos(ys[index], "y", onCanvas)];
}

function away(plot, number, index) {
  const [left, top] = placeOf(plot, number, index);
  return [left - plot.cursor.left, top - plot.cursor.top];
}

function nearest(plot, number) {
  const distances = plot.data[number][0].map((x, index) => Math.hypot(...away(plot, number, index)));
  return distances.indexOf(Math.min(...distances));
}

function pointLabels(plot, series) {
  return series.flatMap((one, place) => (one.labels ?? []).map((text, index) => {
    const [left, top] = placeOf(plot, place + 1, index);
    return labelAt(text, left, top - 11, left > plot.over.clientWidth * 0.7);
  }));
}

// The names of chosen series beside their last points, apart from each other.
function endLabels(plot, series, chosen) {
  const ends = series.filter((one) => chosen?.has(one.name) && one.short).map(({ short, points }) => ({ short,
    top: plot.valToPos(points[points.length - 1][1], "y") })).sort((a, b) => a.top - b.top);
  ends.forEach((end, index) => { end.top = Math.max(end.top, index ? ends[index - 1].top + LABEL_GAP : 0); });
  const bottom = plot.over.clientHeight;
  ends.reverse().forEach((end, index) => { end.top = Math.min(end.top, index ? ends[index - 1].top - LABEL_GAP : bottom); });
  return ends.map(({ short, top }) => labelAt(short, plot.over.clientWidth, top));
}

function labelAt(text, left, top, isBefore = false) {
  const label = element("span", { class: `label${isBefore ? " before" : ""}`, "aria-hidden": "true" }, text);
  label.style.left = `${left}px`;
  label.style.top = `${top}px`;
  return label;
}
