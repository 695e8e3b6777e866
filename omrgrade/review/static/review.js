/* The review page. Everything shown goes in as text, never as HTML. The server keeps every decision; what is
   here is only a view of it, and keys wait for one another, so that typing fast hits the right box. */
"use strict";

const TOKEN = document.querySelector("meta[name=review-token]").content;
const byId = (id) => document.getElementById(id);
const state = {
  view: "doubts",
  items: [],  // fields to settle, least sure first; settled ones stay, so that one can go back
  at: 0,
  box: 0,  // which box of the item keys go to
  typed: "",  // what was typed for a whole field
  troubles: [], trouble: 0, corners: null, template: "",
  digit: "", wall: [], all: 0, odd: new Set(),
  roster: [], templates: [], recent: [], digits: {}, settled: 0, left: 0, keyed: false,
};

// ---------------------------------------------------------------- talking to the server

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-Review": TOKEN },
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The review has been stopped. Start it again with: omrgrade review");
  }
  if (answer.ok) return answer.json();
  const told = await answer.json().catch(() => ({}));
  const error = new Error(told.error || (answer.status === 403
    ? "This page is of an earlier review: open the address that omrgrade review printed." : answer.statusText));
  error.status = answer.status;
  throw error;
}

let queue = Promise.resolve();
/* One thing after the other: the next key is looked at when the last one has been answered. */
function then(work) {
  queue = queue.then(work).catch(async (error) => {
    complain(error.message);
    if (error.status === 409) await reload();
  });
  return queue;
}

function complain(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
}

let quiet;
function say(text) {
  byId("said").textContent = text;
  clearTimeout(quiet);
  quiet = setTimeout(() => { byId("said").textContent = ""; }, 2500);
}

async function reload() {
  const key = current() && current().key;
  const told = await ask("/api/state");
  Object.assign(state, {
    items: told.doubts, roster: told.roster, templates: told.templates, keyed: told.keyed, typed: "", odd: new Set(),
  });
  takeIn(told);
  select(Math.max(0, state.items.findIndex((item) => item.key === key)));
  if (state.view === "wall" && state.digit) await openWall(state.digit);
  draw();
}

/* What every answer brings. */
function takeIn(told) {
  for (const name of ["troubles", "recent", "digits", "settled", "left"]) state[name] = told[name];
  state.trouble = Math.min(state.trouble, Math.max(0, state.troubles.length - 1));
  if (!told.pages) return;
  const fresh = new Map([...told.fields, ...told.doubts].map((item) => [item.key, item]));
  const pages = new Set(told.pages);
  state.items = state.items.filter((item) => !pages.has(item.page) || fresh.has(item.key) || done(item));
  state.items = state.items.map((item) => fresh.get(item.key) || item);
  const known = new Set(state.items.map((item) => item.key));
  state.items.push(...told.doubts.filter((item) => !known.has(item.key)));
}

// ---------------------------------------------------------------- the item in hand

const current = () => state.items[state.at];
const done = (item) => item.status !== "review";
const doubtfulBox = (item) => item.boxes.findIndex((box) => box.status === "review");
const single = (item) => item.boxes.length > 0 && (doubtfulBox(item) >= 0 || state.box >= 0);

function select(at) {
  state.at = Math.min(Math.max(at, 0), Math.max(0, state.items.length - 1));
  state.typed = "";
  state.box = current() ? doubtfulBox(current()) : -1;
}

function move(step) {
  select(state.at + step);
  draw();
}

function nextDoubt() {
  const open = (item) => !done(item);
  const after = state.items.findIndex((item, n) => n > state.at && open(item));
  const at = after >= 0 ? after : state.items.findIndex(open);
  if (at >= 0) select(at); else select(state.at);
}

async function decide(decisions, words) {
  const told = await ask("/api/decide", decisions);
  complain("");
  takeIn(told);
  say(words);
  return told;
}

/* Settle the item in hand, or the box that the keys go to; then the next doubt. */
async function settle(action, value = "", whole = false) {
  const item = current();
  if (!item) return;
  const box = !whole && action !== "illegible" && single(item) ? state.box + 1 : 0;
  const was = item.key;
  await decide([{ page: item.page, field: item.field, box, action, value, version: item.version }],
    `${item.field}: ${action === "set" ? value : action}`);
  const still = state.items.findIndex((other) => other.key === was);
  if (still >= 0 && !done(state.items[still])) select(still); else nextDoubt();
  draw();
}

function accept() {
  const item = current();
  if (!item) return null;
  if (state.typed) return settle("set", state.typed, true);
  if (done(item)) return move(1);
  const value = single(item) ? item.boxes[state.box].value : item.value;
  return settle(value ? "set" : "blank", value);
}

function typedOption(option) {
  const item = current();
  if (item.kind === "choice" && !item.multiple) return settle("set", option, true);
  if (item.kind === "choice") {
    const marks = new Set(state.typed ? state.typed.split("+") : []);
    if (!marks.delete(option)) marks.add(option);
    state.typed = item.options.filter((name) => marks.has(name)).join("+");
  } else if (single(item)) {
    return settle("set", option);
  } else {
    state.typed = (state.typed + option).slice(0, 20);
  }
  draw();
  return null;
}

async function undo(id) {
  const entry = id ? { id } : state.recent[0];
  if (!entry) return say("Nothing to undo");
  const told = await ask("/api/undo", { id: entry.id, whole: !id });  // by key all that was done at one stroke
  complain("");
  takeIn(told);
  const [field] = told.fields;
  if (field && !done(field)) {
    const at = state.items.findIndex((item) => item.key === field.key);
    if (at < 0) state.items.splice(state.at, 0, field);
    select(at < 0 ? state.at : at);
    if (state.view !== "wall" && !id) state.view = "doubts";
  }
  if (state.view === "wall") await openWall(state.digit);
  say("Taken back");
  return draw();
}

async function showAnswer() {
  const item = current();
  if (!item) return;
  const told = await ask(`/api/expected/${encodeURIComponent(item.field)}`);
  say(told.answers.length ? `Right: ${told.answers.join(" or ")}` : "The key says nothing about this");
}

// ---------------------------------------------------------------- drawing

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name in node) node[name] = value;
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

function button(text, key, work, more = {}) {
  const press = () => { byId("main").focus({ preventScroll: true }); then(work); };
  return el("button", { type: "button", on: { click: press }, ...more }, text, key ? el("kbd", {}, key) : null);
}

function draw() {
  if (state.finished) return;
  const total = state.settled + state.left;
  byId("bar").max = total || 1;
  byId("bar").value = total ? state.settled : 1;
  byId("count").textContent = `${state.settled} of ${total} settled`;
  const counts = { doubts: state.items.filter((item) => !done(item)).length, pages: state.troubles.length,
    decided: state.recent.length };
  for (const tab of document.querySelectorAll("nav button")) {
    if (tab.dataset.view === state.view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
    const count = tab.querySelector("b");
    if (count) count.textContent = counts[tab.dataset.view] || "";
  }
  const drawn = { doubts: drawDoubt, wall: drawWall, pages: drawTrouble, decided: drawDecided }[state.view]();
  byId("main").replaceChildren(...[drawn].flat(Infinity).filter(Boolean));
}

function address(kind, page, ...rest) {
  return `/${kind}/${page}${rest.map((part) => `/${encodeURIComponent(part)}`).join("")}.jpg`;
}

function placed(node, [left, top, width, height]) {
  Object.assign(node.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%` });
  return node;
}

function fieldPicture(item) {
  const outlines = item.boxes.length
    ? item.boxes.map((box, n) => (box.status === "review" || n === state.box)
      ? placed(el("i", { className: n === state.box ? "now" : "" }), item.places[n]) : null)
    : [];
  const stage = el("div", { className: "stage" },
    el("img", { src: address("field", item.page, item.field), alt: `What was written in ${item.field}` }),
    outlines);
  stage.style.maxWidth = `min(100%, ${Math.round(Math.min(13 * item.shape, 52))}rem)`;
  return stage;
}

function where(item) {
  const pupil = [item.student, item.name].filter(Boolean).join(" ");
  return el("div", { className: "where" }, el("h2", {}, item.field),
    el("span", {}, pupil || "pupil not known"), el("span", {}, `${item.source}, page ${item.number}`));
}

function valueRow(item) {
  if (state.typed) return el("div", { className: "value" }, [...state.typed].map((c) => el("span", { className: "typed" }, c)));
  if (!item.boxes.length) return el("div", { className: "value" }, el("span", { className: done(item) ? "" : "doubt" }, item.value || "blank"));
  return el("div", { className: "value" }, item.boxes.map((box, n) => el("span",
    { className: n === state.box ? "now" : box.status === "review" ? "doubt" : "" }, box.value || "\u00a0")));
}

const settledWords = { confirmed: "confirmed", corrected: "corrected", illegible: "illegible: no points, no penalty" };

function drawDoubt() {
  const item = current();
  if (!item) {
    return allSettled();
  }
  const box = single(item) ? item.boxes[state.box] : null;
  const machine = box ? box.value : item.value;
  const value = state.typed || machine;
  const other = box ? box.other : item.other;
  const sure = Math.round(100 * (box ? box.confidence : item.confidence));
  const open = state.items.filter((one) => !done(one)).length;
  const free = (letter) => !item.options.some((option) => option.toUpperCase() === letter);
  const shifted = (letter) => free(letter) ? letter : `Shift ${letter}`;
  for (const next of state.items.slice(state.at + 1, state.at + 4)) new Image().src = address("field", next.page, next.field);
  return [open ? null : allSettled(), el("section", { className: `card ${done(item) ? "done" : ""}`, "aria-label": "Reading to settle", "data-key": item.key },
    where(item), fieldPicture(item),
    el("div", { className: "says" }, valueRow(item), done(item)
      ? el("span", {}, item.settled ? settledWords[item.settled] : item.status)
      : el("span", {}, el("span", { className: "why" }, box && box.reason ? box.reason : item.reason),
        el("span", { className: "quiet" }, ` - read as ${machine || "blank"}, ${sure} % sure${other ? `; else ${other}` : ""}`))),
    keypad(item),
    el("div", { className: "acts" },
      done(item) && !state.typed ? null : button(`Accept ${value || "blank"}`, "Enter", accept, { className: "main" }),
      button("Blank", shifted("B"), () => settle("blank")),
      button("Illegible", shifted("X"), () => settle("illegible")),
      button("Undo", shifted("U"), () => undo(), { disabled: !state.recent.length }),
      el("span", { className: "gap" }),
      button("Whole page", "Space", () => showPage(item)),
      state.keyed ? button("Right answer", "?", showAnswer) : null),
    pictures(item),
    item.role === "identifier" && state.roster.length ? picker(item, item) : null,
    el("div", { className: "acts" },
      button("Back", "\u2190", () => move(-1), { disabled: !state.at }),
      el("span", { className: "quiet" }, `${state.at + 1} of ${state.items.length}, ${open} open`),
      button("On", "\u2192", () => move(1), { disabled: state.at + 1 >= state.items.length })))];
}

function allSettled() {
  const pages = state.troubles.length;
  return el("div", { className: "card" }, el("h2", {}, "Everything is settled here"),
    el("p", {}, pages ? `${pages} ${pages === 1 ? "page needs" : "pages need"} you: see Pages.`
      : "Finish writes the marks and ends the review."),
    el("div", { className: "acts" }, button("Finish", "F", finish, { className: "main" })));
}

async function finish() {
  await ask("/api/finish", {});
  state.finished = true;
  byId("main").replaceChildren(el("div", { className: "card" }, el("h2", {}, "The marks are written"),
    el("p", {}, "You may close this page. The window in which you started the review names the next step.")));
}

function keypad(item) {
  const marks = new Set(state.typed.split("+"));
  return el("div", { className: "keys" }, item.keys.map((letter) => button(letter, "", () => typedOption(letter),
    item.multiple ? { "aria-pressed": String(marks.has(letter)) } : {})));
}

/* Choose a pupil for `where`: a page and the field that holds its number. */
function picker(target, item) {
  const taken = new Map(state.troubles.map((one) => [one.student, one]));
  const list = el("ul", {});
  const search = el("input", { type: "search", placeholder: "Find a pupil by name or number", "aria-label": "Find a pupil" });
  const pick = (id) => () => choosePupil(target, item, id);
  function fill() {
    const wanted = search.value.trim().toLowerCase();
    const likely = item.pupils.map((pupil) => [pupil.id, pupil.name]);
    const found = wanted ? state.roster.filter(([id, name]) => `${id} ${name}`.toLowerCase().includes(wanted)) : likely;
    list.replaceChildren(...found.slice(0, 8).map(([id, name]) =>
      el("li", {}, button(`${id}  ${name}`, "", pick(id)))));
    if (wanted && !found.length) list.replaceChildren(el("li", { className: "quiet" }, "Nobody of that name or number on the roster"));
    return found;
  }
  search.addEventListener("input", fill);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { const [first] = fill(); if (first) then(pick(first[0])); }
    if (event.key === "ArrowDown" && list.querySelector("button")) { list.querySelector("button").focus(); event.preventDefault(); }
    if (event.key === "Escape") byId("main").focus();
  });
  fill();
  return el("div", { className: "picker" }, el("label", {}, "Whose sheet? ", el("kbd", {}, "/")), search, list);
}

async function choosePupil(target, item, id) {
  const version = item.fieldVersion === undefined ? item.version : item.fieldVersion;
  await decide([{ page: item.page, field: item.field, box: 0, action: "set", value: id, version }], `Sheet of ${id}`);
  if (state.view === "doubts") nextDoubt();
  draw();
}

function showPage(item) {
  byId("sheet-name").textContent = `${item.source}, page ${item.number}`;
  byId("sheet-picture").src = address("page", item.page);
  const mark = byId("sheet-mark");
  mark.hidden = !item.onPage;
  if (item.onPage) placed(mark, item.onPage);
  byId("sheet").showModal();
  byId("sheet-picture").onload = () => mark.scrollIntoView({ block: "center", inline: "center" });
  byId("sheet-scroll").focus();
}

// ---------------------------------------------------------------- the same digit on one wall

async function openWall(digit, more = false) {
  const from = more ? state.wall.length : 0;
  const told = await ask(`/api/wall/${digit}?from=${from}`);
  if (!more) state.odd = new Set();
  Object.assign(state, { digit, all: told.all, wall: more ? [...state.wall, ...told.boxes] : told.boxes });
  draw();
}

const boxKey = (box) => `${box.page}/${box.field}/${box.box}`;

function drawWall() {
  const digits = el("div", { className: "keys" }, [..."0123456789"].map((digit) =>
    button(digit, "", () => openWall(digit), { "aria-pressed": String(digit === state.digit), title: `${state.digits[digit] || 0} boxes` })));
  if (!state.digit) return el("section", { className: "card" }, el("p", {}, "All boxes read as the same digit, side by side. Which digit?"), digits);
  const doubtful = state.wall.filter((box) => box.doubtful && !state.odd.has(boxKey(box)));
  const odd = state.wall.filter((box) => state.odd.has(boxKey(box)));
  const tiles = state.wall.map((box) => {
    const key = boxKey(box);
    const toggle = () => { if (!state.odd.delete(key)) state.odd.add(key); draw(); focusTile(key); };
    return el("button", { type: "button", "data-key": key, className: `${box.doubtful ? "doubt" : ""} ${state.odd.has(key) ? "odd" : ""}`,
      "aria-pressed": String(state.odd.has(key)), title: `${box.field}, ${box.source}, page ${box.number}, ${Math.round(100 * box.confidence)} %`, on: { click: toggle } },
    el("img", { loading: "lazy", alt: `${state.digit}${box.doubtful ? ", doubtful" : ""}`, src: address("box", box.page, box.field, box.box) }));
  });
  return el("section", { className: "card" }, digits,
    el("p", {}, `${state.all} boxes read as ${state.digit}; doubtful ones framed, first. Click those that are something else.`),
    el("div", { className: "acts" },
      button(`Put ${odd.length} odd under review`, "R", flagOdd, { disabled: !odd.length }),
      doubtful.length ? button(`The other ${doubtful.length} doubtful ${doubtful.length === 1 ? "is" : "are"} ${state.digit}`, "A", confirmRest, { className: "main" }) : null,
      button("Undo", "U", () => undo(), { disabled: !state.recent.length })),
    el("div", { className: "wall" }, tiles),
    state.wall.length < state.all ? button(`Show more (${state.all - state.wall.length})`, "M", () => openWall(state.digit, true)) : null);
}

function focusTile(key) {
  const tile = [...document.querySelectorAll(".wall button")].find((one) => one.dataset.key === key);
  if (tile) tile.focus({ preventScroll: true });
}

const onBox = (box, action, value = "") => ({ page: box.page, field: box.field, box: box.box, action, value, version: box.version });

async function flagOdd() {
  const odd = state.wall.filter((box) => state.odd.has(boxKey(box)) && !box.doubtful);
  if (odd.length) await decide(odd.map((box) => onBox(box, "doubt")), `${odd.length} put under review`);
  await openWall(state.digit);
}

async function confirmRest() {
  const rest = state.wall.filter((box) => box.doubtful && !state.odd.has(boxKey(box)));
  if (rest.length) await decide(rest.map((box) => onBox(box, "set", state.digit)), `${rest.length} confirmed as ${state.digit}`);
  const odd = new Set(state.odd);
  await openWall(state.digit);
  state.odd = odd;
  draw();
}

function moveTile(key) {
  const tiles = [...document.querySelectorAll(".wall button")];
  if (!tiles.length) return;
  const columns = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
  const at = tiles.indexOf(document.activeElement);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  tiles[at < 0 ? 0 : Math.min(Math.max(at + step, 0), tiles.length - 1)].focus();
}

// ---------------------------------------------------------------- whole pages

const statusWords = { unreadable: "could not be read", misplaced: "may have been read beside its boxes", unknown_student: "is of an unknown pupil", duplicate_student: "has the number of another sheet", missing_page: "lacks another page", double_page: "is there twice", out_of_order: "does not come in turn" };
const gaps = ["missing_page", "out_of_order"];

function drawTrouble() {
  const page = state.troubles[state.trouble];
  if (!page) return el("div", { className: "card" }, el("h2", {}, "No page needs you"));
  const unread = page.status === "unreadable";
  return el("section", { className: "card", "data-key": page.key },
    el("div", { className: "where" }, el("h2", {}, `${page.source}, page ${page.number}`), el("span", {}, statusWords[page.status])),
    el("p", { className: "why" }, page.problem),
    unread ? rereading(page) : page.status === "misplaced" ? misplaced(page) : gaps.includes(page.status) ? gap(page) : assigning(page),
    el("div", { className: "acts" },
      button("Set aside, do not count", "S", () => setAside(page)),
      button("Whole page", "Space", () => showPage(page)),
      button("Undo", "U", () => undo(), { disabled: !state.recent.length })),
    el("div", { className: "acts" },
      button("Back", "\u2190", () => movePage(-1), { disabled: !state.trouble }),
      el("span", { className: "quiet" }, `${state.trouble + 1} of ${state.troubles.length}`),
      button("On", "\u2192", () => movePage(1), { disabled: state.trouble + 1 >= state.troubles.length })));
}

function movePage(step) {
  state.trouble = Math.min(Math.max(state.trouble + step, 0), Math.max(0, state.troubles.length - 1));
  state.corners = null;
  draw();
}

async function setAside(page) {
  await decide([{ page: page.page, field: "", box: 0, action: "aside", value: "", version: page.version }], "Set aside");
  state.corners = null;
  draw();
}

function misplaced(page) {
  return [el("p", {}, "Do the frames lie on the printed boxes? If not, set the page aside and scan it again."),
    el("div", { className: "acts" }, button("They do", "Enter", () => liesWell(page), { className: "main" })),
    el("div", { className: "stage thin" }, el("img", { src: address("page", page.page), alt: "The page" }),
      page.frames.map((frame) => placed(el("i", {}), frame)))];
}

async function liesWell(page) {
  await decide([{ page: page.page, field: "", box: 0, action: "confirm", value: "", version: page.version }], "The boxes lie well");
  draw();
}

/* What the sheet has cut out for people to see, e.g. the name as it was written. */
function pictures(one) {
  return one.pictures.map((id) => el("figure", {}, el("figcaption", { className: "quiet" }, id),
    el("div", { className: "stage thin" }, el("img", { src: address("field", one.page, id), alt: id }))));
}

function gap(page) {
  const words = page.status === "missing_page" ? "Nothing more was handed in: the missing page earns nothing" : "These pages belong together";
  return [el("p", {}, el("b", {}, `${page.student} ${page.name}`)), el("p", {}, page.status === "missing_page"
    ? "The other page may be among those whose number is in doubt, or could not be read: settle these first."
    : "Do the pages show one hand? If not, set them aside and scan them again in turn."),
  el("div", { className: "acts" }, button(words, "W", () => countsWhole(page))), assigning(page)];
}

async function countsWhole(page) {
  await decide([{ page: page.page, field: "", box: 0, action: "whole", value: "", version: page.version }], "The sheet counts as it is");
  draw();
}

function assigning(page) {
  const number = (one, words) => page.field ? el("figure", {}, el("figcaption", { className: "quiet" }, words),
    el("div", { className: "stage thin" }, el("img", { src: address("field", one.page, page.field), alt: words }))) : null;
  return [
    pictures(page),
    number(page, `The number on this sheet${page.value ? `: ${page.value}` : ""}`),
    page.others.map((other) => [number(other, `${other.source}, page ${other.number}`),
      el("div", { className: "acts" }, button("Whole page of that one", "", () => showPage(other)))]),
    page.field && state.roster.length ? picker(page, page) : el("p", { className: "quiet" }, "Without a roster there is nobody to choose from."),
  ];
}

function rereading(page) {
  const chosen = state.templates.find((one) => one.name === state.template) || state.templates[0];
  const choice = el("select", { "aria-label": "Template", on: { change: (event) => { state.template = event.target.value; state.corners = null; draw(); } } },
    state.templates.map((one) => el("option", { value: one.name, selected: one === chosen }, one.name ? `${one.title} (${one.name})` : `${one.title} (this run's)`)));
  const read = (corners) => async () => {
    say("Reading ...");
    takeIn(await ask("/api/reread", { page: page.page, template: chosen.name, corners, version: page.version }));
    state.corners = null;
    complain("");
    say("Read");
    draw();
  };
  const parts = [el("div", { className: "acts" }, el("label", {}, "Sheet ", choice),
    button("Search again", "", read(null)),
    state.corners ? button("Read with these corners", "Enter", read(state.corners), { className: "main", id: "read" })
      : button("Show the corners", "C", () => { state.corners = chosen.corners.map((corner) => [...corner]); draw(); document.querySelector(".handle").focus(); }))];
  if (state.corners) {
    parts.push(el("p", { className: "quiet" }, `Drag 1 to 4 to ${chosen.squares ? "the middles of the four corner marks" : "the corners of the paper"}, 1 being top left as one reads the sheet. `
      + "By keyboard: Tab from one to the next, arrows to move it, Shift for large steps."), scanWithHandles(page));
  } else {
    parts.push(el("div", { className: "stage small" }, el("img", { src: address("page", page.page), alt: "The scan" })));
  }
  return parts;
}

function scanWithHandles(page) {
  const polygon = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.append(polygon);
  const picture = el("img", { src: address("page", page.page), alt: "The scan", draggable: false });
  const scan = el("div", { className: "scan" }, picture, svg);
  const put = (n, x, y) => {
    state.corners[n] = [Math.min(Math.max(x, 0), 1), Math.min(Math.max(y, 0), 1)];
    Object.assign(handles[n].style, { left: `${100 * state.corners[n][0]}%`, top: `${100 * state.corners[n][1]}%` });
    polygon.setAttribute("points", state.corners.map(([cx, cy]) => `${100 * cx},${100 * cy}`).join(" "));
  };
  const handles = state.corners.map((_, n) => el("button", { type: "button", className: "handle", "aria-label": `Corner ${n + 1}`, on: {
    pointerdown: (event) => event.target.setPointerCapture(event.pointerId),
    pointermove: (event) => {
      if (!event.buttons) return;
      const frame = scan.getBoundingClientRect();
      put(n, (event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height);
    },
    keydown: (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!way) return;
      const step = event.shiftKey ? 0.02 : 0.001;
      put(n, state.corners[n][0] + step * way[0], state.corners[n][1] + step * way[1]);
      event.preventDefault();
      event.stopPropagation();
    },
  } }, el("span", {}, String(n + 1))));
  scan.append(...handles);
  state.corners.forEach(([x, y], n) => put(n, x, y));
  return scan;
}

// ---------------------------------------------------------------- what was decided

function drawDecided() {
  if (!state.recent.length) return el("p", { className: "quiet" }, "Nothing has been decided yet.");
  const words = { set: "set to", blank: "blank", illegible: "illegible", doubt: "put under review", aside: "set aside", reread: "read again", confirm: "boxes lie well", whole: "counts as it is" };
  return el("ul", { className: "list" }, state.recent.map((entry) => el("li", {},
    el("span", { className: "what" }, `${entry.field || "page"}${entry.box ? ` box ${entry.box}` : ""}: `,
      el("b", {}, `${words[entry.action]} ${entry.action === "set" ? entry.value : ""}`), entry.old ? ` (was ${entry.old})` : "",
      el("span", { className: "quiet" }, ` - ${entry.source}, page ${entry.number} - ${entry.who}, ${entry.time.slice(0, 16).replace("T", " ")}`)),
    button("Undo", "", () => undo(entry.id)))));
}

// ---------------------------------------------------------------- keys and start

function show(view) {
  Object.assign(state, { view, typed: "", corners: null });
  draw();
}

function keyInDoubts(event, key) {
  const item = current();
  if (key === "ArrowRight") return move(1);
  if (key === "ArrowLeft") return move(-1);
  if (key === "F" && !state.items.some((one) => !done(one)) && !(item && item.keys.includes("F"))) return finish();
  if (!item) return key === "U" ? undo() : null;
  if (key === "ArrowDown" || key === "ArrowUp") {
    if (!item.boxes.length) return null;
    const step = key === "ArrowDown" ? 1 : -1;
    state.box = (Math.max(state.box, step > 0 ? -1 : 0) + step + item.boxes.length) % item.boxes.length;
    state.typed = "";
    return draw();
  }
  if (key === "Enter") return accept();
  if (key === "Backspace" && state.typed) { state.typed = state.typed.slice(0, -1).replace(/\+$/, ""); return draw(); }
  if (key === "Backspace" || key === "Delete") return settle("blank");
  if (key === " ") return showPage(item);
  if (key === "?") return state.keyed ? showAnswer() : null;
  if (key === "/" && !item.keys.includes("/")) return focusSearch();
  const option = event.shiftKey ? undefined : item.keys.find((name) => name.toUpperCase() === key);
  if (option !== undefined) return typedOption(option);
  return { B: () => settle("blank"), X: () => settle("illegible"), U: () => undo() }[key]?.();
}

function focusSearch() {
  const search = document.querySelector(".picker input");
  if (search) search.focus();
}

function keyInWall(event, key) {
  if (key.startsWith("Arrow")) return moveTile(key);
  if (/^\d$/.test(key)) return openWall(key);
  if (key === "M" && state.wall.length < state.all) return openWall(state.digit, true);
  return { R: flagOdd, A: confirmRest, U: () => undo() }[key]?.();
}

function keyInPages(event, key) {
  const page = state.troubles[state.trouble];
  if (key === "U") return undo();
  if (!page) return null;
  if (key === "ArrowRight") return movePage(1);
  if (key === "ArrowLeft") return movePage(-1);
  if (key === "S") return setAside(page);
  if (key === " ") return showPage(page);
  if (key === "/") return focusSearch();
  if (key === "C" && page.status === "unreadable" && !state.corners) return [...document.querySelectorAll(".acts button")].find((one) => one.textContent.startsWith("Show the corners")).click();
  if (key === "Enter" && page.status === "misplaced") return liesWell(page);
  if (key === "W" && gaps.includes(page.status)) return countsWhole(page);
  if (key === "Enter" && state.corners) return byId("read").click();
  return null;
}

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (state.finished || event.ctrlKey || event.metaKey || event.altKey || byId("sheet").open) return;
  if (target.matches("input, select, textarea")) return;
  const press = event.key === "Enter" || event.key === " ";
  if (target.matches("button, a") && press && !(target.matches(".handle") && event.key === "Enter")) return;
  const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const known = { doubts: keyInDoubts, wall: keyInWall, pages: keyInPages, decided: (_, k) => (k === "U" ? undo() : null) }[state.view];
  if (["Enter", " ", "Backspace", "/", "?"].includes(event.key) || event.key.startsWith("Arrow")) event.preventDefault();
  then(() => known(event, key));
});

for (const tab of document.querySelectorAll("nav button")) {
  tab.addEventListener("click", () => then(async () => { show(tab.dataset.view); byId("main").focus(); await ask("/api/state").then(takeIn); draw(); }));
}
byId("write").addEventListener("click", () => then(async () => {
  say("Writing ...");
  const told = await ask("/api/write", {});
  say(told.written.length ? `Written: ${told.written.slice(0, 3).join(", ")} and more` : "The marks are up to date");
}));
byId("main").focus();
then(reload);
