// A population: figures over children, the front, and the family of the best.

const FAMILY = { column: 150, row: 42, width: 104, height: 30, top: 34 };

function showEvolution({ evolution }) {
  reveal("evolution");
  const byNumber = new Map(evolution.children.map((child) => [child.id, child]));
  const charts = [figuresChart(evolution), frontChart(evolution, byNumber)];
  byId("evolution-text").textContent = `${evolution.children.length} networks were bred. ${
    evolution.is_loss ? "Lower is better." : "Higher is better."}`;
  byId("evolution-charts").replaceChildren(...charts.map((chart) => chart.figure));
  const paint = familyTree(evolution, byNumber, choose);
  byId("lineage-table").replaceChildren(lineageTable(evolution, byNumber));

  function choose(position) {
    const child = byNumber.get(evolution.lineage[position]);
    paint(child.id);
    byId("ancestor-title").textContent = `Child ${child.id}: ${child.mutation}`;
    makeGraph(byId("ancestor-graph"), evolution.drawings[position], { label: `Child ${child.id}` });
    graphLegend(byId("ancestor-legend"), evolution.drawings[position]);
  }

  choose(evolution.lineage.length - 1);
}

function childWords(child, metric) {
  const figure = child.figure === null ? `failed: ${child.reason}` : `${metric} ${child.figure.toFixed(4)}`;
  return `Child ${child.id} of ${child.parent ?? "none"}: ${child.mutation}; ${figure}; ${scaled(child.flops)}FLOPs`;
}

function figuresChart(evolution) {
  const { children, metric, lineage } = evolution;
  const ancestors = new Set(lineage);
  const scored = children.filter((child) => child.figure !== null);
  const failed = children.filter((child) => child.figure === null);
  const lowest = Math.min(...scored.map((child) => child.figure));
  const dots = (list) => ({ points: list.map((child) => [child.id, child.figure]),
    titles: list.map((child) => childWords(child, metric)), kind: "dots" });
  const series = [
    { name: "others", stroke: colour("block"), hollow: true, width: 3.5,
      ...dots(scored.filter((child) => !ancestors.has(child.id))) },
    { name: "best", points: evolution.best_so_far, kind: "step", stroke: colour("ink"), width: 2 },
    { name: "ancestors", stroke: colour("flow"), width: 5, ...dots(scored.filter((child) => ancestors.has(child.id))) }];
  const entries = [
    { label: "a child", sample: sample({ stroke: colour("block"), width: 0, dot: 3.5 }) },
    { label: "best so far", sample: sample({ stroke: colour("ink"), width: 2 }) },
    { label: "the best and its ancestors", sample: sample({ stroke: colour("flow"), width: 0, dot: 5 }) }];
  if (failed.length) {
    series.push({ name: "failed", kind: "crosses", stroke: colour("accent"), width: 4,
      points: failed.map((child) => [child.id, lowest]), titles: failed.map((child) => childWords(child, metric)) });
    entries.push({ label: `failed (${failed.length}, drawn at the bottom)`,
      sample: crossSample() });
  }
  return makeChart({ title: `${metric} over children`, x: { label: "child, in the order of breeding", whole: true },
    y: { label: metric }, series, entries, describe: `${scored.length} dots.` });
}

function crossSample() {
  const picture = sample({ stroke: colour("accent"), width: 0 });
  picture.append(shape("path", { d: "M11 3l8 8m0 -8l-8 8", stroke: colour("accent"), "stroke-width": 1.8 }));
  return picture;
}

function frontChart(evolution, byNumber) {
  const { children, metric, front } = evolution;
  const scored = children.filter((child) => child.figure !== null);
  const unit = unitOf(Math.max(...scored.map((child) => child.flops)));
  const place = (child) => [child.flops / unit.size, child.figure];
  const onFront = front.map((id) => byNumber.get(id));
  const largest = Math.max(...scored.map((child) => child.flops));
  const line = [...onFront.map(place), [largest / unit.size, onFront[onFront.length - 1].figure]];
  const inside = scored.filter((child) => !front.includes(child.id));
  return makeChart({ title: `${metric} against cost`, x: { label: `${unit.name}FLOPs per clip` }, y: { label: metric },
    series: [
      { name: "inside", kind: "dots", stroke: colour("block"), hollow: true, width: 3.5, points: inside.map(place),
        titles: inside.map((child) => childWords(child, metric)) },
      { name: "line", kind: "step", points: line, stroke: colour("rgb") },
      { name: "front", kind: "dots", stroke: colour("rgb"), width: 5, points: onFront.map(place),
        titles: onFront.map((child) => childWords(child, metric)),
        labels: onFront.length <= 12 ? onFront.map((child) => String(child.id)) : null }],
    entries: [
      { label: "front: none is cheaper and as good (number of the child)",
        sample: sample({ stroke: colour("rgb"), width: 2, dot: 5 }) },
      { label: "other children", sample: sample({ stroke: colour("block"), width: 0, dot: 3.5 }) }],
    describe: `${onFront.length} on the front.` });
}

// Returns a function that marks the chosen ancestor.
function familyTree({ generations, lineage, metric }, byNumber, onChoose) {
  const { column, row, width, height, top } = FAMILY;
  const most = Math.max(...generations.map((one) => one.siblings.length + (one.left_out ? 1 : 0)));
  const wide = generations.length * column + 20;
  const high = top + (most + 1) * row + 8;
  const svg = shape("svg", { width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, role: "group",
    "aria-label": "The family of the best" });
  const boxes = new Map();
  generations.forEach((generation, number) => {
    const x = 10 + number * column;
    svg.append(shape("text", { x: x + width / 2, y: 18, "text-anchor": "middle", "font-size": 12 },
      number ? `generation ${number}` : "founder"));
    [generation.id, ...generation.siblings].forEach((id, place) => {
      const y = top + place * row;
      if (number) {
        svg.prepend(shape("path", { class: "wire", stroke: colour(place ? "line" : "flow"),
          "stroke-width": place ? 1.5 : 3.5, d: `M${x - column + width} ${top + height / 2}C${x - 22} ${
            top + height / 2} ${x - 24} ${y + height / 2} ${x} ${y + height / 2}` }));
      }
      const box = familyBox(byNumber.get(id), metric, x, y, place ? null : () => onChoose(number));
      boxes.set(id, box);
      svg.append(box);
    });
    if (generation.left_out) {
      svg.append(shape("text", { x, y: top + (generation.siblings.length + 1) * row + 14, "font-size": 12 },
        `and ${generation.left_out} more`));
    }
  });
  fitToPage(byId("family"), svg, wide);
  return (id) => boxes.forEach((box, number) => {
    box.classList.toggle("chosen", number === id);
    if (lineage.includes(number)) box.setAttribute("aria-pressed", String(number === id));
  });
}

function familyBox(child, metric, x, y, onChoose) {
  const words = childWords(child, metric);
  const group = shape("g", { class: `node${child.figure === null ? " idle" : ""}`, "data-child": child.id },
    shape("title", {}, words),
    shape("rect", { class: "box", x, y, width: FAMILY.width, height: FAMILY.height, rx: 4 }),
    shape("text", { x: x + FAMILY.width / 2, y: y + 19, "text-anchor": "middle", "font-size": 12,
      "font-weight": onChoose ? 700 : 400 },
    `${child.id}: ${child.figure === null ? "failed" : child.figure.toFixed(4)}`));
  if (onChoose) {
    filled(group, { tabindex: 0, role: "button", "aria-label": words, onclick: onChoose,
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        onChoose();
      } }, []);
  } else group.style.cursor = "default";
  return group;
}

function lineageTable({ lineage, metric }, byNumber) {
  const rows = lineage.map((id, generation) => ({ ...byNumber.get(id), generation,
    gain: generation ? byNumber.get(id).figure - byNumber.get(lineage[generation - 1]).figure : null }));
  const signed = (value) => (value === null ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`);
  return makeTable([
    { title: "Generation", value: (row) => row.generation, text: (row) => String(row.generation) },
    { title: "Child", value: (row) => row.id, text: (row) => String(row.id) },
    { title: "What changed", value: (row) => row.mutation, text: (row) => row.mutation, words: true },
    { title: metric, value: (row) => row.figure, text: (row) => fixed(row.figure, 4) },
    { title: "Change", value: (row) => row.gain, text: (row) => signed(row.gain) },
    { title: "FLOPs per clip", value: (row) => row.flops, text: (row) => scaled(row.flops) },
    { title: "Parameters", value: (row) => row.parameters, text: (row) => scaled(row.parameters) }],
  rows, "The best and its ancestors").table;
}
