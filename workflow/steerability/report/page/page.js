"use strict";
(() => {
  const PAGE = 50;
  const $ = (id) => document.getElementById(id);
  const read = (id) => JSON.parse($(id).textContent);
  const data = read("index");
  const at = data.cells;
  const COUNT = at.task.length;
  const JUDGES = [...data.judges.keys()];
  const number = (value) => value.toLocaleString("en");

  /* ---- cells are positions in the index's columns ---- */
  const task = (cell) => data.tasks[at.task[cell]];
  const model = (cell) => data.models[at.model[cell]];
  const intervention = (cell) => data.interventions[at.intervention[cell]];
  const scenario = (cell) => data.scenarios[at.scenario[cell]];
  const category = (cell) => data.categories[scenario(cell).category];
  const guard = (cell) => data.guards[at.guard[cell]];
  const finish = (cell) => (at.finish[cell] < 0 ? null : data.finish[at.finish[cell]]);
  const odds = (cell) => at.odds[cell] ?? null;
  const scale = (cell) => data.scales[task(cell).scale];
  const judged = (cell, judge) => at.labels[judge][cell];
  const label = (cell, judge) => (judged(cell, judge) < 0 ? null : scale(cell)[judged(cell, judge)]);
  const primary = (cell) => task(cell).judges[0] ?? -1;
  function id(cell) {
    const parts = [model(cell), intervention(cell).name, scenario(cell).id];
    if (task(cell).name !== "behaviour") parts.unshift(task(cell).name);
    return parts.join("/") + (guard(cell) && `@${guard(cell)}`) + (at.sample[cell] ? `#${at.sample[cell]}` : "");
  }
  let byId = null;
  function find(name) {
    if (!byId) {
      byId = new Map();
      for (let cell = 0; cell < COUNT; cell += 1) byId.set(id(cell), cell);
    }
    return byId.get(name);
  }
  // one number for what is shown side by side: task, model and scenario
  const group = (cell, ofTask = at.task[cell], ofModel = at.model[cell]) =>
    (ofTask * data.models.length + ofModel) * data.scenarios.length + at.scenario[cell];
  const groups = new Map();
  for (let cell = 0; cell < COUNT; cell += 1) {
    const key = group(cell);
    if (groups.has(key)) groups.get(key).push(cell);
    else groups.set(key, [cell]);
  }
  const inGroup = (key, wanted) => (groups.get(key) ?? []).find((cell) =>
    at.intervention[cell] === wanted.intervention && at.guard[cell] === wanted.guard && at.sample[cell] === wanted.sample);
  const place = (cell) => ({ intervention: at.intervention[cell], guard: at.guard[cell], sample: at.sample[cell] });

  /* ---- texts: a block is parsed when one of its texts is read ---- */
  const kept = new Map();
  function block(name) {
    if (!kept.has(name)) {
      if (kept.size > 8) kept.delete(kept.keys().next().value);
      kept.set(name, read(name));
    }
    return kept.get(name);
  }
  const output = (cell) => block(`outputs-${at.block[cell]}`)[cell];
  const thinking = (cell) => (at.thought[cell] < 0 ? null : block(`thinking-${at.thought[cell]}`)[cell]);
  const textNumber = (cell) => at.task[cell] * data.scenarios.length + at.scenario[cell];
  const texts = (cell) => block(`scenarios-${data.texts[textNumber(cell)]}`)[textNumber(cell)];

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
  const paint = (node, colour) => { if (colour) node.style.borderLeftColor = colour; };
  for (const node of document.querySelectorAll("[data-colour]")) paint(node, node.dataset.colour);

  /* ---- filters: name, label, options, and what a value asks of a cell ---- */
  const occurred = (cell, judge) => {
    const given = cell === undefined || judge < 0 ? null : label(cell, judge);
    return given && given.valid ? given.event : null;
  };
  const eventOf = new Set(data.scales.flatMap((labels) => labels.filter((one) => one.event).map((one) => one.title)));
  const event = eventOf.size === 1 ? [...eventOf][0] : "the event";
  const FLIPS = {};
  for (const [a, b] of data.contrasts) {
    const [one, other] = [data.interventions[a].name, data.interventions[b].name];
    const flip = (first, before, second, after) => (cell, judge) => {
      const end = (place) => inGroup(group(cell), { intervention: place, guard: at.guard[cell], sample: at.sample[cell] });
      return occurred(end(first), judge) === before && occurred(end(second), judge) === after;
    };
    FLIPS[`${one}-not-${other}`] = [`under ${one}, not under ${other}`, flip(a, true, b, false)];
    FLIPS[`${other}-not-${one}`] = [`under ${other}, not under ${one}`, flip(a, false, b, true)];
    FLIPS[`${one}-and-${other}`] = [`under ${one} and under ${other}`, flip(a, true, b, true)];
  }
  const given = (cell) => JUDGES.map((judge) => judged(cell, judge)).filter((found) => found >= 0);
  const AGREEMENT = {
    differ: ["some judges differ", (cell) => new Set(given(cell)).size > 1],
    agree: ["all judges agree", (cell) => given(cell).length > 1 && new Set(given(cell)).size === 1],
  };
  data.judges.forEach((judge, own) => {
    AGREEMENT[`differs-from:${judge.name}`] = [
      `${judge.name} differs`,
      (cell, chosen) => chosen >= 0 && judged(cell, own) >= 0 && judged(cell, chosen) >= 0 && judged(cell, own) !== judged(cell, chosen),
    ];
  });
  const present = (values) => new Set(values);
  const named = (table) => Object.entries(table).map(([name, [words]]) => [name, words]);
  const own = (names) => names.map((name) => [name, name]);
  const labels = [...new Map(data.scales.flat().map((one) => [one.name, one.title]))];
  // what ended an output: the filter's name, its words, and what data.finish calls it
  const seenFinish = present(at.finish);
  const ENDS = [
    ["cut", "a limit (cut off)", ["length", "context"]],
    ["stop", "the model itself", ["stop"]],
    ["filtered", "the endpoint's filter", ["content_filter"]],
    ["refused", "the endpoint, which refused", ["refused"]],
  ].filter(([, , reasons]) => reasons.some((reason) => seenFinish.has(data.finish.indexOf(reason))));
  const ANSWERS = { first: ["the first answer", (cell) => odds(cell) > 0], second: ["the second answer", (cell) => odds(cell) !== null && odds(cell) <= 0] };
  const seenScenarios = present(at.scenario);
  const seenCategories = present([...seenScenarios].map((one) => data.scenarios[one].category));
  const samples = [...present(at.sample)].sort((a, b) => a - b);
  const tasksJudges = present(data.tasks.filter((one) => one.scale >= 0).map((one) => one.judges[0]));
  const mark = (judge) => (judge.note ? `${judge.name}*` : judge.name);
  const judgeOptions = data.judges.map((judge) => [judge.name, `${mark(judge)} (${judge.error})`]);
  if (tasksJudges.size > 1) judgeOptions.unshift(["", "the task's first"]);
  const FIELDS = [
    ...(data.tasks.length > 1 ? [["task", "Task", own(data.tasks.map((one) => one.name)), (cell, value) => task(cell).name === value]] : []),
    ["model", "Model", own(data.models), (cell, value) => model(cell) === value],
    ["intervention", "Intervention", own(data.interventions.map((one) => one.name)), (cell, value) => intervention(cell).name === value],
    ...(data.guards.length > 1 ? [["guard", "Guard", data.guards.map((name) => [name || "none", name || "none"]), (cell, value) => (guard(cell) || "none") === value]] : []),
    ["category", "Category", data.categories.filter((_, one) => seenCategories.has(one)).map((one) => [one.id, one.title]), (cell, value) => category(cell).id === value],
    ...(samples.length > 1 ? [["sample", "Sample", samples.map((one) => [String(one), String(one + 1)]), (cell, value) => at.sample[cell] === Number(value)]] : []),
    ...(data.judges.length ? [
      ["judge", "Judge", judgeOptions, null],
      ["label", "Label by this judge", labels, (cell, value, judge) => judge >= 0 && label(cell, judge)?.name === value],
    ] : []),
    ...(data.judges.length > 1 ? [["agreement", "Judges", named(AGREEMENT), (cell, value, judge) => AGREEMENT[value][1](cell, judge)]] : []),
    ...(data.judges.length && data.contrasts.length ? [["flip", `Flips: ${event}`, named(FLIPS), (cell, value, judge) => FLIPS[value][1](cell, judge)]] : []),
    ...(at.odds.length ? [["answer", "Preferred answer", named(ANSWERS), (cell, value) => ANSWERS[value][1](cell)]] : []),
    ...(ENDS.length ? [["finish", "Ended by", ENDS.map(([name, words]) => [name, words]), (cell, value) => ENDS.find(([name]) => name === value)[2].includes(finish(cell))]] : []),
  ];
  const KEYS = [...FIELDS.map(([key]) => key), "text"];
  const firstJudge = tasksJudges.size > 1 || !data.judges.length ? "" : data.judges[Math.max(0, [...tasksJudges][0])].name;

  const controls = {};
  const fields = document.querySelector("#filters .fields");
  for (const [key, words, options] of FIELDS) {
    const control = make("select", { id: `filter-${key}`, name: key });
    if (key !== "judge") control.append(make("option", { value: "", text: "any" }));
    for (const [value, text] of options) control.append(make("option", { value, text }));
    controls[key] = control;
    fields.append(make("label", { for: control.id, text: words }, control));
  }
  controls.text = make("input", { id: "filter-text", name: "text", type: "search", autocomplete: "off", spellcheck: "false" });
  fields.append(make("label", { for: "filter-text", text: "Prompt or answer contains" }, controls.text));

  /* ---- state: the filters and the open cell live in the URL's fragment ---- */
  function fromHash(hash) {
    const state = {};
    for (const part of hash.replace(/^#/, "").split("&")) {
      const sign = part.indexOf("=");
      if (sign < 1) continue;
      try {
        state[decodeURIComponent(part.slice(0, sign))] = decodeURIComponent(part.slice(sign + 1));
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
      if (value && !(key === "judge" && value === firstJudge)) state[key] = value;
    }
    return state;
  }
  const link = (cell) => toHash({ ...filters(), cell: id(cell) });

  /* ---- search: block after block, in slices that leave the page alive; nothing is kept ---- */
  const SLICE = 24;
  let searching = 0;
  const pause = () => new Promise((done) => setTimeout(done));
  async function search(wanted, progress) {
    const mine = (searching += 1);
    const found = new Set();
    const inPrompt = new Map();
    let started = performance.now();
    const holds = (text) => text.toLowerCase().includes(wanted);
    const prompts = (cell) => {
      const key = textNumber(cell);
      if (!inPrompt.has(key)) {
        const of = texts(cell);
        const said = [of.context, of.prompt].some(holds) || holds(scenario(cell).id);
        const answers = of.answers.some((pair) => pair.some(holds));
        inPrompt.set(key, [said, answers, of.sent.map((sent) => sent.messages.some(([, content]) => holds(content)))]);
      }
      return inPrompt.get(key);
    };
    for (let number = 0; number < data.outputs; number += 1) {
      for (const [key, value] of Object.entries(read(`outputs-${number}`))) {
        const cell = Number(key);
        const [said, answers, sent] = prompts(cell);
        if (said || (value.response === undefined ? answers : sent[value.sent] || holds(value.response) || holds(value.raw ?? ""))) found.add(cell);
      }
      if (performance.now() - started > SLICE) {
        progress(number / data.outputs);
        await pause();
        if (mine !== searching) return null;
        started = performance.now();
      }
    }
    return found;
  }

  /* ---- the list ---- */
  let shown = [];
  let rendered = 0;
  let texted = ["", null];
  const body = $("list").tBodies[0];
  const chosenJudge = (cell) => {
    const name = controls.judge?.value;
    return name ? data.judges.findIndex((each) => each.name === name) : primary(cell);
  };

  function matching() {
    const state = filters();
    const tests = FIELDS.filter(([key, , , test]) => test && state[key]).map(
      ([key, , , test]) => (cell) => test(cell, state[key], chosenJudge(cell)));
    if (state.text) tests.push((cell) => texted[1].has(cell));
    const found = [];
    for (let cell = 0; cell < COUNT; cell += 1) if (tests.every((test) => test(cell))) found.push(cell);
    return found;
  }

  const chip = (one, by) => {
    const node = make("span", { class: "chip", "data-label": one.name }, one.title);
    paint(node, one.colour);
    if (by) node.append(" ", make("span", { class: "by", text: mark(by) }));
    return node;
  };
  const signed = (value, digits) => value.toFixed(digits).replace("-", "\u2212");
  function result(cell) {
    const chips = make("div", { class: "chips" });
    if (odds(cell) !== null) {
      chips.append(make("span", { class: "chip", text: `log-odds ${signed(odds(cell), 2)}` }));
      return chips;
    }
    const first = chosenJudge(cell);
    for (const judge of [first, ...JUDGES.filter((one) => one !== first)]) {
      if (judge >= 0 && judged(cell, judge) >= 0) chips.append(chip(label(cell, judge), data.judges.length > 1 ? data.judges[judge] : null));
    }
    if (!chips.childNodes.length) chips.append("not judged");
    return chips;
  }
  const cellText = (head, text) => make("td", { role: "cell", "data-label": head }, make("span", { text }));
  const under = (cell) => intervention(cell).name
    + (guard(cell) && `, guard ${guard(cell)}`) + (samples.length > 1 && odds(cell) === null ? `, sample ${at.sample[cell] + 1}` : "");
  function line(cell) {
    return make("tr", { role: "row" },
      make("th", { role: "rowheader", scope: "row" }, make("a", { href: link(cell), text: scenario(cell).id })),
      ...(data.tasks.length > 1 ? [cellText("Task", task(cell).name)] : []),
      cellText("Category", category(cell).title),
      cellText("Model", model(cell)),
      cellText("Intervention", under(cell)),
      make("td", { role: "cell", "data-label": "Result" }, result(cell)));
  }
  function renderMore() {
    const next = shown.slice(rendered, rendered + PAGE);
    body.append(...next.map(line));
    rendered += next.length;
    const left = shown.length - rendered;
    $("more").hidden = left === 0;
    $("more").textContent = `Show ${Math.min(PAGE, left)} more of ${number(left)}`;
  }
  function counted() {
    const counts = new Map(labels.map(([name]) => [name, 0]));
    let choices = 0;
    for (const cell of shown) {
      const judge = chosenJudge(cell);
      const one = odds(cell) === null && judge >= 0 ? label(cell, judge) : null;
      if (one) counts.set(one.name, counts.get(one.name) + 1);
      if (odds(cell) !== null) choices += 1;
    }
    const parts = labels.filter(([name]) => counts.get(name)).map(([name, title]) => `${title} ${number(counts.get(name))}`);
    const by = controls.judge?.value || firstJudge;
    const judge = data.judges.find((each) => each.name === by);
    if (parts.length) parts[parts.length - 1] += judge ? `, by ${mark(judge)} (${judge.error})` : ", by each task's first judge";
    if (choices) parts.push(`choices ${number(choices)}`);
    return parts.join(", ");
  }
  function list() {
    shown = matching();
    rendered = 0;
    body.replaceChildren();
    renderMore();
    $("count").replaceChildren(
      `${number(shown.length)} of ${number(COUNT)} outputs`, make("span", { class: "interval", text: counted() }));
    $("list").hidden = shown.length === 0;
  }
  async function filter() {
    const wanted = controls.text.value.toLowerCase();
    if (wanted && wanted !== texted[0]) {
      const found = await search(wanted, (share) => {
        $("count").textContent = `Searching: ${Math.round(100 * share)} %`;
      });
      if (!found) return;
      texted = [wanted, found];
    } else searching += 1;
    list();
  }

  /* ---- one scenario under every intervention ---- */
  const dialog = $("cell");
  let open = -1;
  const text = (content, empty) => make("pre", { class: content ? "text" : "text empty", dir: "auto", text: content || empty });
  function folded(summary, nodes) {
    const details = make("details", {}, make("summary", { text: summary }));
    details.addEventListener("toggle", () => details.append(...nodes()), { once: true });
    return details;
  }
  function sent(of) {
    if (of.plain) return [make("p", { class: "role", text: "As plain text, without a chat template" }), text(of.messages.map(([, content]) => content).join("\n\n"), "")];
    return of.messages.flatMap(([role, content], place) => [
      make("p", { class: "role", text: role === "assistant" && place === of.messages.length - 1 ? "Beginning of the answer" : `${role.charAt(0).toUpperCase()}${role.slice(1)} message` }),
      text(content, "empty"),
    ]);
  }
  function facts(cell, value) {
    const rows = make("dl", { class: "facts" });
    const add = (name, words, mono) => {
      if (words !== null && words !== undefined) rows.append(make("dt", { text: name }), make("dd", { class: mono ? "mono" : null, text: words }));
    };
    const ends = { stop: "by the model itself", length: "at the token limit (cut off)", context: "at the end of the context (cut off)", content_filter: "by the endpoint's filter (judged by none)", refused: "by the endpoint, which refused the request (judged by none)" };
    if (odds(cell) === null) add("ended", finish(cell) === null ? "not known" : ends[finish(cell)]);
    if (value.promptTokens !== undefined && value.promptTokens !== null) add("prompt tokens", `${number(value.promptTokens)}${value.truncated ? " (prompt cut)" : ""}`);
    if (value.completionTokens !== undefined) add("new tokens", number(value.completionTokens));
    if (value.thinkingCut) add("thinking", "never closed");
    add("cell", id(cell), true);
    add("SHA-256", value.sha256, true);
    add("object", value.key, true);
    return rows;
  }
  function verdict(cell, said) {
    const judge = data.judges[said.judge];
    const item = make("li", {}, chip(label(cell, said.judge)), " ", make("span", { class: "judge", text: judge.name }), " ", make("span", { class: "error", text: `(${judge.error})` }));
    if (judge.note) item.append(" ", make("span", { class: "warning", text: judge.note }));
    item.append(make("div", { dir: "auto", text: said.reason || "no reason given" }));
    if (said.probabilities) {
      const parts = scale(cell).filter((one) => one.name in said.probabilities).map(
        (one) => `${one.title} ${said.probabilities[one.name].toFixed(3)}`);
      item.append(make("div", { class: "caption", text: parts.join(", ") }));
    }
    return item;
  }
  function decided(decision) {
    const score = decision.score === undefined ? "" : `, score ${decision.score}`;
    const threshold = decision.threshold === undefined ? "" : `, threshold ${decision.threshold}`;
    return make("p", {}, make("span", { class: "judge", text: `Guard ${decision.guard}` }),
      `: ${decision.blocked ? "withheld the reply" : "let the reply through"}${score}${threshold}.`,
      make("div", { class: "caption", dir: "auto", text: decision.reason }));
  }
  function reply(cell, value, of) {
    const thought = thinking(cell);
    const nodes = [make("ul", { class: "verdicts" }, ...value.verdicts.map((said) => verdict(cell, said)))];
    if (value.decision) nodes.push(decided(value.decision));
    if (thought) nodes.push(folded(`Thinking (${number(thought.length)} characters)`, () => [text(thought, "")]));
    if (value.raw !== undefined) nodes.push(make("p", { class: "role", text: "Reply as shown" }));
    nodes.push(text(value.response, "an empty answer"));
    if (value.raw !== undefined) nodes.push(folded("Reply as the model gave it", () => [text(value.raw, "an empty answer")]));
    nodes.push(folded("Sent", () => sent(of.sent[value.sent])), facts(cell, value));
    return nodes;
  }
  function choice(cell, value, of) {
    const names = task(cell).answers;
    const nodes = [make("p", {}, make("span", { class: "chip", text: `log-odds ${signed(odds(cell), 3)} nats` }))];
    const answers = make("div", { class: "answers" });
    of.answers[value.answers].forEach((answer, which) => {
      const scores = value.scores[which];
      const sum = scores.reduce((a, b) => a + b, 0);
      answers.append(make("section", {},
        make("h4", { text: `${names[which].charAt(0).toUpperCase()}${names[which].slice(1)} answer` }),
        text(answer, ""),
        make("p", { class: "caption", text: `log-probability ${signed(sum, 3)} nats over ${scores.length} tokens, ${signed(sum / scores.length, 3)} a token; token by token:` }),
        make("ol", { class: "scores", "aria-label": "Log-probability of each token" }, ...scores.map((score) => make("li", { text: signed(score, 2) })))));
    });
    nodes.push(answers, facts(cell, value));
    return nodes;
  }
  function side(cell, chosen, of) {
    const name = intervention(cell).name;
    const node = make("article", { class: cell === chosen ? "side chosen" : "side", "aria-label": name },
      make("h3", {}, make("a", { href: link(cell), text: name }), ...(intervention(cell).role ? [" ", make("span", { class: "error", text: intervention(cell).role })] : [])));
    if (cell === chosen) node.setAttribute("aria-current", "true");
    const value = output(cell);
    node.append(...(odds(cell) === null ? reply(cell, value, of) : choice(cell, value, of)));
    return node;
  }
  function links(heading, found, current) {
    if (found.length < 2) return [];
    const items = found.map(([words, cell]) => make("li", {}, make("a", { href: link(cell), text: words, "aria-current": cell === current ? "true" : null })));
    return [make("nav", { "aria-label": heading, class: "links" }, make("span", { class: "caption", text: heading }), make("ul", {}, ...items))];
  }
  function others(cell) {
    const here = place(cell);
    const members = groups.get(group(cell));
    const same = members.filter((one) => at.intervention[one] === here.intervention);
    const defined = ([, one]) => one !== undefined;
    // another task keeps what it has of the address: of a choice there is one sample and no guard
    const nearest = (key) => inGroup(key, here) ?? (groups.get(key) ?? []).find((one) => at.intervention[one] === here.intervention);
    return [
      ...links("The same scenario, other tasks", data.tasks.map((one, which) => [one.name, nearest(group(cell, which))]).filter(defined), cell),
      ...links("The same scenario, other models", data.models.map((name, which) => [name, inGroup(group(cell, at.task[cell], which), here)]).filter(defined), cell),
      ...links("Other guards", same.filter((one) => at.sample[one] === here.sample).map((one) => [guard(one) || "none", one]), cell),
      ...links("Other samples", same.filter((one) => at.guard[one] === here.guard).map((one) => [String(at.sample[one] + 1), one]), cell),
    ];
  }
  function show(cell) {
    const of = texts(cell);
    const beside = groups.get(group(cell))
      .filter((one) => at.guard[one] === at.guard[cell] && at.sample[one] === at.sample[cell])
      .sort((a, b) => at.intervention[a] - at.intervention[b]);
    $("cell-title").textContent = `${scenario(cell).id}, ${model(cell)}`;
    const of_task = data.tasks.length > 1 ? `Task ${task(cell).name}. ` : "";
    const nodes = [make("p", { class: "caption", text: `${of_task}${category(cell).title}. The output that the address names is the framed one, under “${under(cell)}”.` }), ...others(cell)];
    if (of.context) nodes.push(make("h3", { text: "Background, as judges read it" }), text(of.context, ""));
    nodes.push(make("h3", { text: task(cell).twins ? "Benign twin of the scenario" : "Scenario" }), text(of.prompt, ""), make("div", { class: "sides" }, ...beside.map((one) => side(one, cell, of))));
    $("cell-body").replaceChildren(...nodes);
    const here = shown.indexOf(cell);
    $("previous").disabled = here <= 0;
    $("next").disabled = here < 0 || here === shown.length - 1;
    open = cell;
    document.title = `${id(cell)}: steerability`;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    $("cell-title").focus();
  }
  const pageTitle = document.title;
  function step(by) {
    const cell = shown[shown.indexOf(open) + by];
    if (cell !== undefined) location.hash = link(cell);
  }
  dialog.addEventListener("close", () => {
    open = -1;
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
      controls[key].value = state[key] ?? (key === "judge" ? firstJudge : "");
      if (controls[key].selectedIndex === -1) controls[key].value = key === "judge" ? firstJudge : "";
    }
    const now = JSON.stringify(filters());
    if (now !== settled) filter();
    settled = now;
    const cell = state.cell === undefined ? undefined : find(state.cell);
    if (cell !== undefined) show(cell);
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
  $("filters").addEventListener("reset", () => setTimeout(() => {
    if (controls.judge) controls.judge.value = firstJudge;
    changed();
  }));
  let typing = 0;
  controls.text.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(changed, 150);
  });
  $("more").addEventListener("click", () => {
    const first = rendered;
    renderMore();
    body.rows[first].querySelector("a").focus();
  });
  addEventListener("hashchange", apply);

  $("filters").hidden = false;
  if (controls.judge) controls.judge.value = firstJudge;
  filter();
  settled = JSON.stringify(filters());
  apply();
})();
