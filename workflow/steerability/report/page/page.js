"use strict";
(() => {
  const PAGE = 50;
  const $ = (id) => document.getElementById(id);
  const read = (id) => JSON.parse($(id).textContent);
  const data = read("index");
  const title = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
  const CONDITIONS = { pro: "Pro", none: "No suffix", anti: "Anti" };
  const condition = (name) => CONDITIONS[name] ?? name;
  const CONVERGENCE = data.labels.indexOf("convergence");
  const INVALID = ["nonsensical", "judge_failed"].map((label) => data.labels.indexOf(label));
  const [MODEL, INTERVENTION, SCENARIO, FINISH, FIRST_JUDGE] = [0, 1, 2, 3, 4];

  const cells = data.cells.map((row) => {
    const model = data.models[row[MODEL]].name;
    const intervention = data.interventions[row[INTERVENTION]];
    const scenario = data.scenarios[row[SCENARIO]];
    return {
      id: `${model}/${intervention}/${scenario.id}`,
      group: `${row[MODEL]}-${row[SCENARIO]}`,
      model, intervention, scenario: scenario.id,
      at: row,
      category: data.categories[scenario.category],
      finish: row[FINISH] < 0 ? null : data.finish[row[FINISH]],
      labels: row.slice(FIRST_JUDGE),
    };
  });
  const byId = new Map(cells.map((cell) => [cell.id, cell]));
  const groups = new Map();
  for (const cell of cells) {
    if (!groups.has(cell.group)) groups.set(cell.group, new Map());
    groups.get(cell.group).set(cell.intervention, cell);
  }

  /* Text only: nothing here parses markup. */
  function make(tag, options = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) {
      if (name === "text") node.textContent = value;
      else if (value !== null) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  /* ---- state: the filters and the open cell live in the URL's fragment ---- */
  const converged = (cell, judge) => {
    const label = cell ? cell.labels[judge] : -1;
    return label < 0 || INVALID.includes(label) ? null : label === CONVERGENCE;
  };
  const flips = (from, before, to, after) => (cell, judge) => {
    const group = groups.get(cell.group);
    return converged(group.get(from), judge) === before && converged(group.get(to), judge) === after;
  };
  const has = (...names) => names.every((name) => data.interventions.includes(name));
  const FLIPS = {};
  if (has("pro", "anti")) {
    FLIPS["pro-not-anti"] = ["under pro, not under anti", flips("pro", true, "anti", false)];
    FLIPS["anti-not-pro"] = ["under anti, not under pro", flips("pro", false, "anti", true)];
    FLIPS["pro-and-anti"] = ["under pro and under anti", flips("pro", true, "anti", true)];
  }
  if (has("none", "pro")) FLIPS["none-to-pro"] = ["under pro, not without it", flips("none", false, "pro", true)];
  if (has("none", "anti")) FLIPS["none-to-anti"] = ["without anti, not under it", flips("none", true, "anti", false)];

  const seen = (cell) => cell.labels.filter((label) => label >= 0);
  const AGREEMENT = {
    differ: ["some judges differ", (cell) => new Set(seen(cell)).size > 1],
    agree: ["all judges agree", (cell) => seen(cell).length > 1 && new Set(seen(cell)).size === 1],
  };
  data.judges.forEach((judge, at) => {
    AGREEMENT[`differs-from:${judge.name}`] = [
      `${judge.name} differs`,
      (cell, chosen) => cell.labels[at] >= 0 && cell.labels[chosen] >= 0 && cell.labels[at] !== cell.labels[chosen],
    ];
  });

  const pairs = (names, text = title) => names.map((name) => [name, text(name)]);
  const named = (table) => Object.entries(table).map(([name, [text]]) => [name, text]);
  // what ended an output: the filter's name, its words, and what data.finish calls it
  const ENDS = [
    ["cut", "a limit (cut off)", ["length", "context"]],
    ["stop", "the model itself", ["stop"]],
    ["filtered", "the endpoint's filter", ["content_filter"]],
  ].filter(([, , reasons]) => cells.some((cell) => reasons.includes(cell.finish)));
  const marked = (judge) => (judge.note ? `${judge.name}*` : judge.name);
  const FIELDS = [
    ["model", "Model", pairs(data.models.map((model) => model.name), (name) => name)],
    ["intervention", "Intervention", pairs(data.interventions, condition)],
    ["category", "Category", data.categories
      .filter((category) => cells.some((cell) => cell.category === category))
      .map((category) => [category.id, category.title])],
    ["judge", "Judge", data.judges.map((judge) => [judge.name, marked(judge)])],
    ["label", "Label by this judge", pairs(data.labels)],
    ...(data.judges.length > 1 ? [["agreement", "Judges", named(AGREEMENT)]] : []),
    ...(Object.keys(FLIPS).length ? [["flip", "Flips: converges", named(FLIPS)]] : []),
    ...(ENDS.length ? [["finish", "Ended by", ENDS.map(([name, words]) => [name, words])]] : []),
  ];
  const KEYS = [...FIELDS.map(([key]) => key), "text"];

  const controls = {};
  const fields = document.querySelector("#filters .fields");
  for (const [key, label, options] of FIELDS) {
    const control = make("select", { id: `filter-${key}`, name: key });
    if (key !== "judge") control.append(make("option", { value: "", text: "any" }));
    for (const [value, text] of options) control.append(make("option", { value, text }));
    controls[key] = control;
    fields.append(make("label", { for: control.id, text: label }, control));
  }
  controls.text = make("input", { id: "filter-text", name: "text", type: "search", autocomplete: "off", spellcheck: "false" });
  fields.append(make("label", { for: "filter-text", text: "Prompt or answer contains" }, controls.text));

  function fromHash(hash) {
    const state = {};
    for (const part of hash.replace(/^#/, "").split("&")) {
      const at = part.indexOf("=");
      if (at < 1) continue;
      try {
        state[decodeURIComponent(part.slice(0, at))] = decodeURIComponent(part.slice(at + 1));
      } catch { /* a fragment that is no URI names nothing */ }
    }
    return state;
  }
  function toHash(state) {
    const parts = ["cell", ...KEYS].filter((key) => state[key]).map(
      (key) => `${key}=${encodeURIComponent(state[key]).replaceAll("%2F", "/")}`);
    return parts.length ? `#${parts.join("&")}` : "#outputs";
  }
  function filters() {
    const state = {};
    for (const key of KEYS) {
      const value = controls[key].value;
      if (value && !(key === "judge" && value === data.judges[0].name)) state[key] = value;
    }
    return state;
  }
  const link = (cell) => toHash({ ...filters(), cell: cell.id });

  /* ---- text search: lower-cased once, when the browser is idle or at the first search ---- */
  const searchable = new Map();
  const unread = [...groups.keys()];
  function readSearchable(until) {
    while (unread.length && until()) {
      const key = unread.pop();
      const scenario = read(`scenario-${key.split("-")[1]}`);
      const outputs = read(`outputs-${key}`);
      const members = groups.get(key);
      for (const output of outputs) {
        const cell = members.get(data.interventions[output.intervention]);
        searchable.set(cell, `${cell.scenario}\n${scenario.context}\n${scenario.sent[output.sent]}\n${output.response}`.toLowerCase());
      }
    }
  }
  // Safari has no idle callback: it reads for 8 ms at a time instead
  const whenIdle = window.requestIdleCallback ?? ((call) => setTimeout(() => {
    const until = performance.now() + 8;
    call({ timeRemaining: () => until - performance.now() });
  }));
  function readWhenIdle(deadline) {
    readSearchable(() => deadline.timeRemaining() > 2);
    if (unread.length) whenIdle(readWhenIdle);
  }

  /* ---- the list ---- */
  let shown = [];
  let rendered = 0;
  const body = $("list").tBodies[0];

  function matching() {
    const state = filters();
    const judge = Math.max(0, data.judges.findIndex((each) => each.name === state.judge));
    const label = state.label ? data.labels.indexOf(state.label) : -1;
    const tests = [];
    if (state.model) tests.push((cell) => cell.model === state.model);
    if (state.intervention) tests.push((cell) => cell.intervention === state.intervention);
    if (state.category) tests.push((cell) => cell.category.id === state.category);
    if (label >= 0) tests.push((cell) => cell.labels[judge] === label);
    if (state.agreement) tests.push((cell) => AGREEMENT[state.agreement][1](cell, judge));
    if (state.flip) tests.push((cell) => FLIPS[state.flip][1](cell, judge));
    const ends = ENDS.find(([name]) => name === state.finish);
    if (ends) tests.push((cell) => ends[2].includes(cell.finish));
    if (state.text) {
      readSearchable(() => true);
      const wanted = state.text.toLowerCase();
      tests.push((cell) => searchable.get(cell).includes(wanted));
    }
    return [cells.filter((cell) => tests.every((test) => test(cell))), judge];
  }

  const chip = (label, by) => {
    const node = make("span", { class: "chip", "data-label": data.labels[label] }, title(data.labels[label]));
    if (by) node.append(" ", make("span", { class: "by", text: marked(by) }));
    return node;
  };

  function line(cell, judge) {
    const labels = make("div", { class: "chips" });
    const order = [judge, ...data.judges.keys()].filter((at, place, all) => all.indexOf(at) === place);
    for (const at of order) {
      if (cell.labels[at] >= 0) labels.append(chip(cell.labels[at], data.judges.length > 1 ? data.judges[at] : null));
    }
    if (!labels.childNodes.length) labels.append("not judged");
    return make("tr", { role: "row" },
      make("th", { role: "rowheader", scope: "row" }, make("a", { href: link(cell), text: cell.scenario })),
      make("td", { role: "cell", "data-label": "Category" }, make("span", { text: cell.category.title })),
      make("td", { role: "cell", "data-label": "Model" }, make("span", { text: cell.model })),
      make("td", { role: "cell", "data-label": "Intervention" }, make("span", { text: condition(cell.intervention) })),
      make("td", { role: "cell", "data-label": "Labels" }, labels));
  }

  function renderMore(judge) {
    const next = shown.slice(rendered, rendered + PAGE);
    body.append(...next.map((cell) => line(cell, judge)));
    rendered += next.length;
    const left = shown.length - rendered;
    $("more").hidden = left === 0;
    $("more").textContent = `Show ${Math.min(PAGE, left)} more of ${left.toLocaleString("en")}`;
  }

  let chosenJudge = 0;
  function filter() {
    [shown, chosenJudge] = matching();
    rendered = 0;
    body.replaceChildren();
    renderMore(chosenJudge);
    const counts = data.labels.map((label, at) => [title(label), shown.filter((cell) => cell.labels[chosenJudge] === at).length]);
    const parts = counts.filter(([, n]) => n).map(([label, n]) => `${label} ${n}`);
    const judge = data.judges[chosenJudge];
    $("count").replaceChildren(
      `${shown.length.toLocaleString("en")} of ${cells.length.toLocaleString("en")} outputs`,
      make("span", { class: "interval", text: parts.length ? `${parts.join(", ")}, by ${marked(judge)}` : "" }));
    $("list").hidden = shown.length === 0;
  }

  /* ---- one scenario under every intervention ---- */
  const dialog = $("cell");
  let open = null;

  function text(content, empty) {
    return make("pre", { class: content ? "text" : "text empty", dir: "auto", text: content || empty });
  }
  function folded(summary, content, empty) {
    const details = make("details", {}, make("summary", { text: summary }));
    details.addEventListener("toggle", () => details.append(text(content, empty)), { once: true });
    return details;
  }
  function facts(output, cell) {
    const list = make("dl", { class: "facts" });
    const add = (name, value, mono) => {
      if (value !== null && value !== undefined) list.append(make("dt", { text: name }), make("dd", { class: mono ? "mono" : null, text: value }));
    };
    const ends = { stop: "by the model itself", length: "at the token limit (cut off)", context: "at the end of the context (cut off)", content_filter: "by the endpoint's filter (judged by none)" };
    add("ended", output.finish === null ? "not known" : ends[output.finish]);
    add("prompt tokens", output.promptTokens === null ? null : `${output.promptTokens.toLocaleString("en")}${output.truncated ? " (prompt cut)" : ""}`);
    add("new tokens", output.completionTokens === null ? null : output.completionTokens.toLocaleString("en"));
    if (output.thinkingCut) add("thinking", "never closed");
    add("cell", cell.id, true);
    add("SHA-256", output.sha256, true);
    add("object", output.key, true);
    return list;
  }
  function verdict(given) {
    const judge = data.judges[given.judge];
    const item = make("li", {}, chip(given.label), " ", make("span", { class: "judge", text: judge.name }));
    if (judge.note) item.append(" ", make("span", { class: "warning", text: judge.note }));
    item.append(make("div", { dir: "auto", text: given.reason || "no reason given" }));
    if (given.probabilities) {
      const parts = data.labels.filter((label) => label in given.probabilities).map(
        (label) => `${title(label)} ${given.probabilities[label].toFixed(3)}`);
      item.append(make("div", { class: "caption", text: parts.join(", ") }));
    }
    return item;
  }
  function side(output, scenario, chosen) {
    const name = data.interventions[output.intervention];
    const cell = groups.get(chosen.group).get(name);
    const node = make("article", { class: cell === chosen ? "side chosen" : "side", "aria-label": condition(name) },
      make("h3", {}, make("a", { href: link(cell), text: condition(name) })),
      make("ul", { class: "verdicts" }, ...output.verdicts.map(verdict)));
    if (cell === chosen) node.setAttribute("aria-current", "true");
    if (output.thinking) node.append(folded(`Thinking (${output.thinking.length.toLocaleString("en")} characters)`, output.thinking, ""));
    node.append(text(output.response, "an empty answer"), folded("Prompt as sent", scenario.sent[output.sent], ""), facts(output, cell));
    return node;
  }
  function show(cell) {
    const scenario = read(`scenario-${cell.at[SCENARIO]}`);
    const outputs = read(`outputs-${cell.group}`).sort((a, b) => a.intervention - b.intervention);
    $("cell-title").textContent = `${cell.scenario}, ${cell.model}`;
    const others = data.models.map((model, at) => [model.name, groups.get(`${at}-${cell.at[SCENARIO]}`)])
      .filter(([, group]) => group && group.get(cell.intervention))
      .map(([name, group]) => make("li", {}, make("a", {
        href: link(group.get(cell.intervention)), text: name, "aria-current": name === cell.model ? "true" : null,
      })));
    const nodes = [make("p", { class: "caption", text: `${cell.category.title}. The output that the address names is the framed one, under “${condition(cell.intervention)}”.` })];
    if (others.length > 1) nodes.push(make("nav", { "aria-label": "The same scenario, other models" }, make("ul", {}, ...others)));
    if (scenario.context) nodes.push(make("h3", { text: "System message" }), text(scenario.context, ""));
    nodes.push(make("h3", { text: "Scenario" }), text(scenario.prompt, ""), make("div", { class: "sides" }, ...outputs.map((output) => side(output, scenario, cell))));
    $("cell-body").replaceChildren(...nodes);
    const at = shown.indexOf(cell);
    $("previous").disabled = at <= 0;
    $("next").disabled = at < 0 || at === shown.length - 1;
    open = cell;
    document.title = `${cell.id}: steerability`;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    $("cell-title").focus();
  }
  const pageTitle = document.title;
  function step(by) {
    const cell = shown[shown.indexOf(open) + by];
    if (cell) location.hash = link(cell);
  }
  dialog.addEventListener("close", () => {
    open = null;
    document.title = pageTitle;
    if (fromHash(location.hash).cell) history.replaceState(null, "", toHash(filters()));
  });
  $("close").addEventListener("click", () => dialog.close());
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));

  /* ---- from the fragment to the page, and back ---- */
  let settled = "";
  function apply() {
    const state = fromHash(location.hash);
    if (!Object.keys(state).length) {
      if (dialog.open) dialog.close();
      return;
    }
    for (const key of KEYS) {
      controls[key].value = state[key] ?? "";
      if (controls[key].selectedIndex === -1 || (key === "judge" && !controls[key].value)) controls[key].selectedIndex = 0;
    }
    const now = JSON.stringify(filters());
    if (now !== settled) filter();
    settled = now;
    const cell = byId.get(state.cell);
    if (cell) show(cell);
    else if (state.cell) {
      if (dialog.open) dialog.close();
      $("count").replaceChildren(`No output has the address ${state.cell}`);
      $("count").focus();
    } else {
      if (dialog.open) dialog.close();
      $("outputs").scrollIntoView();
      $("count").focus({ preventScroll: true });
    }
  }
  function changed() {
    filter();
    settled = JSON.stringify(filters());
    history.replaceState(null, "", toHash(filters()));
  }
  $("filters").addEventListener("change", changed);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(changed));
  let typing = 0;
  controls.text.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(changed, 150);
  });
  $("more").addEventListener("click", () => {
    const first = rendered;
    renderMore(chosenJudge);
    body.rows[first].querySelector("a").focus();
  });
  addEventListener("hashchange", apply);

  $("filters").hidden = false;
  filter();
  settled = JSON.stringify(filters());
  apply();
  whenIdle(readWhenIdle);
})();
