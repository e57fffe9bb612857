// The network over training: slider, playing, the inspector of a node, and the curves beside.

function showNetwork(report) {
  const { drawing, timeline, gate } = report.network;
  reveal("network");
  const charts = showCurves(report);
  const last = timeline ? timeline.steps.length - 1 : 0;
  const state = { moment: last, node: null };
  const graph = makeGraph(byId("graph"), drawing, { onChoose: choose, label: "The network" });
  graphLegend(byId("graph-legend"), drawing);
  const costs = showCosts(report, () => state.moment);
  const slider = byId("step");

  function choose(index) {
    state.node = state.node === index ? null : index;
    repaint();
  }

  function repaint() {
    if (timeline) {
      const step = timeline.steps[state.moment];
      slider.value = String(state.moment);
      slider.setAttribute("aria-valuetext", `step ${step}`);
      byId("step-shown").textContent = `${step} of ${timeline.steps[last]}`;
      graph.show({ strengths: timeline.strengths[state.moment],
        choices: drawing.connections.map((one, index) => choiceAt(report, index, state.moment)) });
      charts.forEach((chart) => chart.mark(step));
    }
    graph.show({ chosen: state.node });
    const highlighted = state.node === null ? null
      : new Set(inputsOf(drawing, state.node).map((index) => connectionName(drawing.connections[index])));
    charts.forEach((chart) => chart.emphasise(highlighted && highlighted.size ? highlighted : null));
    byId("inspector").replaceChildren(...inspected(report, state));
    costs.refill();
  }

  if (timeline) {
    slider.max = String(last);
    slider.addEventListener("input", () => {
      state.moment = Number(slider.value);
      repaint();
    });
    makePlayer(state, last, repaint);
  } else {
    slider.closest(".controls").hidden = true;
  }
  const radios = [...document.querySelectorAll("input[name='gates']")];
  radios.forEach((radio) => radio.addEventListener("change", () => graph.show({ gates: radio.value })));
  if (gate !== "peer") radios[0].closest("fieldset").hidden = true;
  repaint();
}

// Plays from the slider's place to the end, or from the start when it is there already.
function makePlayer(state, last, repaint) {
  const button = byId("play");
  let timer = null;

  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
    button.setAttribute("aria-label", "Play the training");
  }

  button.addEventListener("click", () => {
    if (timer !== null) {
      stop();
      return;
    }
    if (state.moment === last) state.moment = 0;
    button.textContent = "Pause";
    button.setAttribute("aria-label", "Pause");
    repaint();
    timer = setInterval(() => {
      if (state.moment >= last) {
        stop();
        return;
      }
      state.moment += 1;
      repaint();
    }, Math.min(400, Math.max(60, 6000 / (last + 1))));
  });
  byId("step").addEventListener("pointerdown", stop);
}

function connectionName(one) {
  return `${one.source} → ${one.consumer}`;
}

function inputsOf(drawing, node) {
  return drawing.connections.flatMap((one, index) => (one.consumer === node ? [index] : []));
}

// The likeliest peer of a connection: {peer, probability, sure}; sure is 0 for an even choice, 1 for a certain one.
function choiceAt({ network }, index, moment) {
  const { drawing, timeline } = network;
  const named = drawing.connections[index].peer;
  if (named !== null) return { peer: named, probability: 1, sure: 1 };
  const distribution = timeline ? timeline.peers[moment][index] : [];
  if (!distribution.length) return null;
  const probability = Math.max(...distribution);
  const peer = timeline.candidates[index][distribution.indexOf(probability)];
  const even = 1 / distribution.length;
  return { peer, probability, sure: distribution.length === 1 ? 1 : Math.max(0, (probability - even) / (1 - even)) };
}

function strengthAt({ network }, index, moment) {
  const { drawing, timeline } = network;
  return timeline ? timeline.strengths[moment][index] : drawing.connections[index].strength;
}

// What a connection costs with the gates as likely as they are now.
function costAt(report, index, moment) {
  const cost = report.costs.connections[index];
  if (cost.map === null) return null;
  const peers = report.network.timeline?.peers[moment][index] ?? [];
  return cost.map + cost.gates.reduce((sum, gate, candidate) => sum + gate * (peers[candidate] ?? 0), 0);
}

function inspected(report, { node, moment }) {
  const { drawing, timeline } = report.network;
  if (node === null) {
    return [element("h3", {}, "No node chosen"),
      element("p", {}, "Click a node, or reach it with Tab and press Enter: its inputs are listed here.")];
  }
  const chosen = drawing.nodes[node];
  const feeds = drawing.connections.filter((one) => one.source === node).map((one) => one.consumer);
  const title = chosen.is_stem ? `Node ${node}: a stream's stem` : `Node ${node}: a block of level ${chosen.level}`;
  const facts = [chosen.heading.replace(/^\d+ +/, ""), ...chosen.details].join(", ");
  const words = element("p", {}, `${facts}. ${feeds.length ? `Feeds ${feeds.join(", ")}.`
    : node === drawing.nodes.length - 1 ? "Feeds the classifier." : "Feeds no block."}`);
  const inputs = inputsOf(drawing, node);
  if (!inputs.length) return [element("h3", {}, title), words];
  const columns = [
    { title: "Input", value: (index) => drawing.connections[index].source,
      text: (index) => drawing.nodes[drawing.connections[index].source].heading },
    { title: "Strength", value: (index) => strengthAt(report, index, moment),
      text: (index) => fixed(strengthAt(report, index, moment)) }];
  if (report.network.gate === "peer") {
    columns.push({ title: "Peer", value: (index) => choiceAt(report, index, moment)?.peer,
      text: (index) => peerText(report, index, moment) });
  }
  columns.push({ title: "Cost", value: (index) => costAt(report, index, moment),
    text: (index) => scaled(costAt(report, index, moment)) });
  const caption = `${inputs.length} input${inputs.length > 1 ? "s" : ""}${
    timeline ? ` at step ${timeline.steps[moment]}` : ""}; strength 0 to 1, cost in operations per clip${
    report.network.gate === "peer" ? ", likeliest peer with its probability" : ""}`;
  return [element("h3", {}, title), words, makeTable(columns, inputs, caption).table];
}

function peerText(report, index, moment) {
  const choice = choiceAt(report, index, moment);
  return choice ? `${choice.peer} (${percent(choice.probability, 0)})` : "–";
}

// Loss, accuracy, strengths and entropy; returns those charts that have steps below them.
function showCurves(report) {
  const { curves, network } = report;
  const charts = [];
  const x = { label: "step", whole: true };
  if (network.timeline) charts.push(...connectionCharts(network, x));
  if (curves?.loss.length) {
    charts.push(makeChart({ title: "Training loss", x, y: { label: "loss" }, series: [
      { name: "loss", points: curves.loss, stroke: colour("ink"), constant: true }] }));
  }
  const figures = Object.entries(curves?.figures ?? {}).filter(([, points]) => points.length);
  if (figures.length) {
    const looks = [["ink", null], ["flow", "7 4"], ["rgb", "2 3"], ["objects", "9 3 2 3"], ["accent", "4 2"]];
    charts.push(makeChart({ title: "Validation", x, y: { label: "score, 0 to 1", min: 0, max: 1 },
      series: figures.map(([name, points], index) => ({ name, points, stroke: colour(looks[index][0]),
        dash: looks[index][1], constant: true, kind: points.length > 1 ? "line" : "dots" })),
      entries: figures.map(([name], index) => ({ label: name,
        sample: sample({ stroke: colour(looks[index][0]), dash: looks[index][1], width: 2 }) })) }));
  }
  if (charts.length) reveal("curves");
  byId("curve-charts").replaceChildren(...charts.map((chart) => chart.figure));
  return charts;
}

function connectionCharts({ drawing, timeline }, x) {
  const connections = drawing.connections.map((one, index) => [one, index]);
  const seriesOf = (rows) => connections.flatMap(([one, index]) => {
    const points = timeline.steps.flatMap((step, moment) =>
      (rows[moment][index] === null ? [] : [[step, rows[moment][index]]]));
    return points.length ? [{ name: connectionName(one), short: String(one.source), points, opacity: 0.55, width: 1.4,
      stroke: wireColour(drawing, one.source), title: connectionName(one),
      kind: points.length > 1 ? "line" : "dots" }] : [];
  });
  const streams = [...new Set(drawing.nodes.filter((node) => node.is_stem).map((node) => node.streams[0]))];
  const entries = [...streams, "block"].map((name) => ({ sample: sample({ stroke: colour(name), width: 1.8 }),
    label: name === "block" ? "from a block" : `from ${STREAM_NAMES[name]}` }));
  const strengths = seriesOf(timeline.strengths);
  const entropy = seriesOf(timeline.entropy);
  const charts = [];
  if (strengths.length) {
    charts.push(makeChart({ title: "Strength of each connection", x, y: { label: "sigmoid(w)", min: 0, max: 1 },
      series: strengths, entries, describe: `${strengths.length} lines; the tables have the numbers.` }));
  }
  if (entropy.length) {
    const mean = { name: "mean", points: timeline.steps.map((step, moment) => [step, timeline.mean_entropy[moment]]),
      stroke: colour("ink"), width: 3.2, constant: true };
    charts.push(makeChart({ title: "How open each choice of a peer still is", x,
      y: { label: "entropy, share of an even choice's", min: 0, max: 1 }, series: [...entropy, mean],
      entries: [{ label: "mean", sample: sample({ stroke: colour("ink"), width: 3.2 }) }, ...entries],
      describe: "1 is an even choice, 0 a certain one." }));
  }
  return charts;
}
