"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const { header, titles, cells } = JSON.parse($("data").textContent);
  const NAMES = header.drawn.map(([cell]) => cell);
  const PREFIX = `steerability-labels:${header.draw}:`;
  const LAST = `${PREFIX}last`;
  const RATER = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
  const LONGEST_LOOK = 600; // seconds; whoever takes longer has left the page
  const buttons = [...document.querySelectorAll("[data-label]")];

  /* ---- state: kept after every step, under the rater's name */
  let rater = "";
  let state = null;
  let shownAt = 0;
  const fresh = () => ({ at: 0, marks: {}, history: [], saved: 0, steps: 0 });

  function warn(text) {
    $("warning").textContent = text;
    $("warning").hidden = !text;
  }
  function kept(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  }
  function keep() {
    state.steps += 1;
    try {
      localStorage.setItem(PREFIX + rater, JSON.stringify(state));
      localStorage.setItem(LAST, rater);
    } catch {
      warn("This browser keeps nothing for this page: save the file before you close it.");
    }
  }
  function sound(value) {
    return value && typeof value === "object" && value.marks && Array.isArray(value.history)
      && Number.isInteger(value.at) && value.at >= 0 && value.at < cells.length;
  }
  function load(name) {
    try {
      const value = JSON.parse(kept(PREFIX + name));
      return sound(value) ? value : fresh();
    } catch {
      return fresh();
    }
  }

  const mark = (name) => state.marks[name] ?? { label: "", unsure: false, comment: "", seconds: null };
  const labelled = () => NAMES.filter((name) => mark(name).label).length;
  const title = (label) => titles[header.labels.indexOf(label)];
  const say = (text) => { $("said").textContent = text; };

  /* ---- showing: text nodes only */
  function write(id, text) {
    $(id).textContent = text || "empty";
    $(id).classList.toggle("empty", !text);
  }
  function pace() {
    const times = NAMES.map((name) => mark(name).seconds).filter((value) => value !== null).sort((a, b) => a - b);
    return times.length ? `, about ${times[Math.floor(times.length / 2)]} s each` : "";
  }
  function show(focus = true) {
    const cell = cells[state.at];
    const own = mark(NAMES[state.at]);
    $("cell-title").textContent = `Answer ${state.at + 1} of ${cells.length}${own.label ? `: ${title(own.label)}` : ""}`;
    for (const name of ["context", "prompt", "response"]) write(name, cell[name]);
    $("unsure").checked = own.unsure;
    $("comment").value = own.comment;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.label === own.label));
    const done = labelled();
    $("done").value = done;
    $("count").textContent = `${done} of ${cells.length} labelled${pace()}${state.steps > state.saved && done ? ", not all saved to a file" : ""}`;
    $("undo").disabled = !state.history.length;
    $("previous").disabled = state.at === 0;
    $("next").disabled = state.at === cells.length - 1;
    if (focus) {
      shownAt = Date.now();
      window.scrollTo(0, $("work").offsetTop);
      $("cell-title").focus({ preventScroll: true });
    }
  }

  /* ---- steps, each of which can be taken back */
  function change(changes, at = state.at) {
    const before = {};
    for (const [name, value] of Object.entries(changes)) {
      before[name] = state.marks[name] ?? null;
      state.marks[name] = value;
    }
    state.history.push({ at: state.at, before });
    state.at = at;
    keep();
  }
  function nextOpen(after) {
    for (let step = 1; step <= cells.length; step += 1) {
      const at = (after + step) % cells.length;
      if (!mark(NAMES[at]).label) return at;
    }
    return after;
  }
  function label(value) {
    takeComment();
    const name = NAMES[state.at];
    const own = mark(name);
    const seconds = Math.round((Date.now() - shownAt) / 1000);
    const number = state.at + 1;
    change({ [name]: { ...own, label: value, seconds: own.seconds ?? (seconds <= LONGEST_LOOK ? seconds : null) } });
    const left = cells.length - labelled();
    state.at = nextOpen(state.at);
    keep();
    show();
    if (left) {
      say(`Answer ${number}: ${title(value)}.`);
    } else {
      say(`Answer ${number}: ${title(value)}. All ${cells.length} answers are labelled; save the file.`);
      $("save").focus();
    }
  }
  function toggleUnsure() {
    takeComment();
    const name = NAMES[state.at];
    const own = mark(name);
    change({ [name]: { ...own, unsure: !own.unsure } });
    show(false);
    say(own.unsure ? "Not marked as unsure." : "Marked as unsure.");
  }
  function takeComment() {
    const name = NAMES[state.at];
    const own = mark(name);
    const comment = $("comment").value.trim();
    if (comment === own.comment) return;
    change({ [name]: { ...own, comment } });
    show(false);
  }
  function undo() {
    const last = state.history.pop();
    if (!last) return;
    for (const [name, value] of Object.entries(last.before)) {
      if (value === null) delete state.marks[name];
      else state.marks[name] = value;
    }
    state.at = last.at;
    keep();
    show();
    say(`The last step is taken back: answer ${state.at + 1}.`);
  }
  function go(step) {
    takeComment();
    const at = state.at + step;
    if (at < 0 || at >= cells.length) return;
    state.at = at;
    keep();
    show();
    say("");
  }

  /* ---- the label file */
  function fileText() {
    const lines = [{ ...header, rater }];
    NAMES.forEach((name, at) => {
      const own = mark(name);
      if (!own.label) return;
      lines.push({
        id: name, label: own.label, reason: own.comment, probabilities: null, judge: rater,
        key: cells[at].key, unsure: own.unsure, seconds: own.seconds,
      });
    });
    return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  }
  function save() {
    takeComment();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([fileText()], { type: "application/jsonl" }));
    link.download = `labels-${header.task}-${rater}-${header.draw.slice(0, 8)}.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    keep();
    state.saved = state.steps + 1;
    keep();
    show(false);
    say(`${labelled()} labels saved to ${link.download}.`);
  }
  function readFile(text) {
    const lines = text.replace(/^\ufeff/, "").split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line));
    const [first, ...labels] = lines;
    if (!first || first.kind !== "labels") throw new Error("it is no label file");
    if (first.draw !== header.draw || first.run !== header.run) throw new Error("it is of another page");
    if (first.rater !== rater) throw new Error(`it is by ${first.rater}, and you are ${rater}`);
    const changes = {};
    for (const line of labels) {
      if (!NAMES.includes(line.id) || line.id in changes) throw new Error(`the cell ${line.id} is unknown or stands twice`);
      if (!header.labels.includes(line.label)) throw new Error(`there is no label ${line.label}`);
      changes[line.id] = {
        label: line.label,
        unsure: line.unsure === true,
        comment: String(line.reason ?? ""),
        seconds: Number.isInteger(line.seconds) ? line.seconds : null,
      };
    }
    return changes;
  }
  async function open(file) {
    try {
      const changes = readFile(await file.text());
      change(changes);
      state.at = nextOpen(cells.length - 1);
      keep();
      warn("");
      show();
      say(`${Object.keys(changes).length} labels read from ${file.name}.`);
    } catch (error) {
      warn(`${file.name} was not read: ${error.message}.`);
    }
  }

  /* ---- wiring */
  function start(name) {
    rater = name;
    state = load(name);
    if (labelled() && mark(NAMES[state.at]).label) state.at = nextOpen(state.at);
    $("start").hidden = true;
    $("rubric").open = false;
    $("work").hidden = false;
    show();
    const done = labelled();
    say(done ? `Welcome back, ${name}: ${done} of ${cells.length} are labelled.` : "");
  }
  $("start").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("rater").value.trim();
    if (RATER.test(name)) start(name);
    else warn("A name is made of letters, digits, dots, hyphens and underscores.");
  });
  $("rater").value = kept(LAST) ?? "";
  for (const button of buttons) button.addEventListener("click", () => label(button.dataset.label));
  $("unsure").addEventListener("change", toggleUnsure);
  $("comment").addEventListener("change", takeComment);
  $("undo").addEventListener("click", undo);
  $("previous").addEventListener("click", () => go(-1));
  $("next").addEventListener("click", () => go(1));
  $("save").addEventListener("click", save);
  $("open").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    if ($("file").files.length) open($("file").files[0]);
    $("file").value = "";
  });
  const KEYS = {
    u: toggleUnsure, z: undo, p: () => go(-1), n: () => go(1), s: save, c: () => $("comment").focus(),
  };
  document.addEventListener("keydown", (event) => {
    if (!state || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target === $("comment")) {
      if (event.key === "Escape" || event.key === "Enter") {
        takeComment();
        $("cell-title").focus({ preventScroll: true });
      }
      return;
    }
    if (!$("keys").checked || event.repeat) return;
    const step = KEYS[event.key.toLowerCase()];
    const place = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : -1;
    if (place >= 0 && place < header.labels.length) label(header.labels[place]);
    else if (step) step();
    else return;
    event.preventDefault();
  });
  // another tab of the same rater went on: show what it did
  window.addEventListener("storage", (event) => {
    if (state && event.key === PREFIX + rater && event.newValue) {
      state = load(rater);
      show(false);
    }
  });
})();
