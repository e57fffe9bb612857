// Charts: lines, steps and dots over two axes with units, a marker, and emphasis on some series.

const CHART = { width: 560, height: 320, left: 62, right: 30, top: 12, bottom: 46 };

// About `count` round numbers from low to high.
function ticks(low, high, count = 5) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
  const made = [];
  for (let number = Math.ceil(low / step - 1e-9); number * step <= high + step * 1e-9; number++) {
    made.push(Number((number * step).toPrecision(12)));
  }
  return made;
}

// The range of all values, a little wider; a single value gets room around it.
function extent(values, given = {}) {
  let low = given.min ?? Math.min(...values);
  let high = given.max ?? Math.max(...values);
  if (high - low < 1e-12) {
    const room = Math.abs(high) * 0.1 || 0.5;
    low -= given.min === undefined ? room : 0;
    high += room;
  } else {
    const room = (high - low) * 0.05;
    low -= given.min === undefined ? room : 0;
    high += given.max === undefined ? room : 0;
  }
  return [low, high];
}

// series: {name, points: [[x, y], ...], kind: line | step | dots | crosses, stroke, width, opacity, dash,
//   labels: one text per point, titles: a longer one per point for the pointer}
// x, y: {label, min, max}. Returns {figure, mark(x), emphasise(names or null)}.
function makeChart({ title, x, y, series, entries = [], describe = "" }) {
  const { width, height, left, right, top, bottom } = CHART;
  const points = series.flatMap((one) => one.points);
  const [x0, x1] = extent(points.map((point) => point[0]), x);
  const [y0, y1] = extent(points.map((point) => point[1]), y);
  const toX = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const toY = (value) => height - bottom - ((value - y0) / (y1 - y0)) * (height - top - bottom);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${title}. ${describe}` });
  paintAxes(svg, { x, y, x0, x1, y0, y1, toX, toY });
  const groups = new Map(series.map((one) => [one.name, paintSeries(svg, one, toX, toY)]));
  const names = shape("g");
  const marker = shape("line", { class: "marker", y1: top, y2: height - bottom, visibility: "hidden" });
  svg.append(names, marker);
  const key = element("div", { class: "legend" });
  legend(key, entries);
  const figure = element("figure", { class: "chart" }, element("figcaption", {}, title), svg, key);

  function mark(value) {
    marker.setAttribute("visibility", "visible");
    marker.setAttribute("x1", toX(value));
    marker.setAttribute("x2", toX(value));
  }

  // Brings some series forward and writes their short names at their ends; null lets all be equal.
  function emphasise(chosen) {
    for (const one of series) {
      const group = groups.get(one.name);
      const share = chosen === null ? 1 : chosen.has(one.name) ? 1.6 : 0.15;
      group.setAttribute("opacity", one.constant ? 1 : Math.min(1, (one.opacity ?? 1) * share));
    }
    const ends = chosen === null ? [] : series.filter((one) => chosen.has(one.name) && one.short);
    names.replaceChildren(...spread(ends.map((one) => ({
      text: one.short, y: toY(one.points[one.points.length - 1][1]) + 4 })), top + 8, height - bottom).map(
      ({ text, y: at }) => shape("text", { x: width - right + 4, y: at, "font-size": 12 }, text)));
  }

  emphasise(null);
  return { figure, mark, emphasise };
}

// Moves labels apart so that none lies on another.
function spread(labels, low, high, gap = 12) {
  const sorted = labels.sort((a, b) => a.y - b.y);
  for (let pass = 0; pass < 2; pass++) {
    sorted.forEach((label, index) => {
      const above = index ? sorted[index - 1].y + gap : low;
      label.y = Math.max(label.y, above);
    });
    for (let index = sorted.length - 1; index >= 0; index--) {
      const below = index + 1 < sorted.length ? sorted[index + 1].y - gap : high;
      sorted[index].y = Math.min(sorted[index].y, below);
    }
  }
  return sorted;
}

function paintAxes(svg, { x, y, x0, x1, y0, y1, toX, toY }) {
  const { width, height, left, right, top, bottom } = CHART;
  for (const value of ticks(y0, y1)) {
    svg.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: toY(value), y2: toY(value) }),
      shape("text", { x: left - 8, y: toY(value) + 4, "text-anchor": "end", "font-size": 12 }, String(value)));
  }
  for (const value of ticks(x0, x1, 6)) {
    if (x.whole && value % 1) continue;
    svg.append(shape("line", { class: "axis", x1: toX(value), x2: toX(value), y1: height - bottom,
      y2: height - bottom + 5 }),
    shape("text", { x: toX(value), y: height - bottom + 19, "text-anchor": "middle", "font-size": 12 },
      String(value)));
  }
  svg.append(shape("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
    shape("text", { x: (left + width - right) / 2, y: height - 8, "text-anchor": "middle", "font-size": 13 },
      x.label),
    shape("text", { transform: `translate(15 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle",
      "font-size": 13 }, y.label));
}

function paintSeries(svg, one, toX, toY) {
  const group = shape("g");
  const kind = one.kind ?? "line";
  if (kind === "line" || kind === "step") {
    group.append(shape("path", { d: linePath(one.points, toX, toY, kind === "step"), fill: "none",
      stroke: one.stroke, "stroke-width": one.width ?? 2, "stroke-dasharray": one.dash,
      "stroke-linejoin": "round" }, one.title ? shape("title", {}, one.title) : null));
  } else {
    one.points.forEach((point, index) => group.append(paintPoint(one, kind, toX(point[0]), toY(point[1]), index)));
  }
  svg.append(group);
  return group;
}

function linePath(points, toX, toY, isStep) {
  return points.map(([x, y], index) => {
    if (!index) return `M${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`;
    return isStep ? `H${toX(x).toFixed(1)}V${toY(y).toFixed(1)}` : `L${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`;
  }).join("");
}

function paintPoint(one, kind, cx, cy, index) {
  const title = one.titles ? shape("title", {}, one.titles[index]) : null;
  const size = one.width ?? 4.5;
  const mark = kind === "crosses"
    ? shape("path", { d: `M${cx - size} ${cy - size}l${2 * size} ${2 * size}m0 ${-2 * size}l${-2 * size} ${2 * size}`,
      stroke: one.stroke, "stroke-width": 1.8 }, title)
    : shape("circle", { cx, cy, r: size, fill: one.hollow ? "var(--paper)" : one.stroke, stroke: one.stroke,
      "stroke-width": 1.5 }, title);
  if (!one.labels) return mark;
  const atEnd = cx > CHART.width * 0.7;
  return shape("g", {}, mark, shape("text", { x: cx + (atEnd ? -8 : 8), y: cy - 7, "font-size": 12,
    "text-anchor": atEnd ? "end" : "start" }, one.labels[index]));
}
