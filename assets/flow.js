// A calculation as a flow: stages with rows of numbers, and lines from each number to those made of it.
// Point at a number, tap it or go there with the arrow keys: its whole way is marked, and said below.

const SVG = "http://www.w3.org/2000/svg";
const HINT =
  "Point at a number, or tap it, to see where it comes from and where it goes. With the keyboard: Tab, then the arrow keys.";

export default function ({ data, parentElement }) {
  const flow = parentElement.querySelector(".kd-flow") ?? begin(parentElement);
  flow.kdData = data;
  flow.setAttribute("aria-label", data.alt);
  flow.style.setProperty("--kd-teacher", data.colours.teacher);
  flow.style.setProperty("--kd-student", data.colours.student);
  fill(flow);
  return () => {
    flow.kdWidth.disconnect();
    flow.kdHow.remove();
    flow.remove();
  };
}

function begin(parent) {
  const flow = element("div", "kd-flow");
  flow.setAttribute("role", "group");
  flow.kdHow = element("p", "kd-flow-how", HINT);
  flow.kdHow.setAttribute("aria-live", "polite");
  parent.append(flow, flow.kdHow);
  // One listener each for all numbers, which come and go.
  flow.addEventListener("pointerover", (event) => event.pointerType === "mouse" && follow(flow, idOf(event)));
  flow.addEventListener("pointerleave", () => follow(flow, flow.kdPinned));
  flow.addEventListener("focusin", (event) => follow(flow, idOf(event)));
  flow.addEventListener("focusout", () => follow(flow, flow.kdPinned));
  flow.addEventListener("click", (event) => {
    flow.kdPinned = idOf(event) === flow.kdPinned ? undefined : idOf(event);
    follow(flow, flow.kdPinned);
  });
  flow.addEventListener("keydown", (event) => move(flow, event));
  flow.kdWidth = new ResizeObserver(() => lines(flow));
  flow.kdWidth.observe(flow);
  return flow;
}

function fill(flow) {
  const shape = JSON.stringify(flow.kdData.stages.map(({ rows }) => rows.map(({ name }) => name)));
  if (shape !== flow.kdShape) build(flow);
  flow.kdShape = shape;
  flow.kdData.stages.forEach(({ title, about }, at) => {
    const [heading, remark] = flow.querySelectorAll(".kd-flow-stage")[at].children;
    heading.textContent = title;
    remark.textContent = about;
  });
  for (const number of numbers(flow)) {
    const place = flow.kdPlaces.get(number.id);
    place.textContent = number.value;
    place.className = `kd-flow-number ${number.who && `kd-flow-${number.who}`}`;
    place.setAttribute("aria-label", `${number.name}: ${number.value}. ${number.how}`);
    if (number.share === null) continue;
    const start = number.signed ? 50 : 0; // a push starts in the middle
    const end = start + (100 - start) * number.share;
    place.classList.add("kd-flow-bar");
    place.style.setProperty("--from", `${Math.min(start, end)}%`);
    place.style.setProperty("--to", `${Math.max(start, end)}%`);
  }
  lines(flow);
  follow(flow, flow.kdPinned);
}

// The places of all numbers; what stands in them is filled in afterwards, and again when a slider moves.
function build(flow) {
  const named = new Set();
  const last = flow.kdData.stages.at(-1);
  const stages = flow.kdData.stages.map((stage) => {
    const column = element("div", "kd-flow-stage");
    column.append(element("div", "kd-flow-title"), element("div", "kd-flow-about"));
    for (const row of stage.rows) {
      const line = element("div", "kd-flow-row");
      // In the middle a class's row goes on from the left; where there is room, its name is not said again.
      line.classList.toggle("kd-flow-again", named.has(row.name) && stage !== last);
      named.add(row.name);
      line.append(element("span", "kd-flow-name", row.name));
      for (const { id } of row.numbers) {
        const place = element("button", "kd-flow-number");
        place.type = "button";
        place.dataset.id = id;
        place.tabIndex = -1;
        line.append(place);
      }
      column.append(line);
    }
    return column;
  });
  flow.kdLines = document.createElementNS(SVG, "svg");
  flow.kdLines.setAttribute("aria-hidden", "true");
  flow.replaceChildren(flow.kdLines, ...stages);
  flow.kdPlaces = new Map([...flow.querySelectorAll("button")].map((place) => [place.dataset.id, place]));
  if (!flow.kdPlaces.has(flow.kdPinned)) flow.kdPinned = undefined;
  flow.querySelector("button").tabIndex = 0;
}

function lines(flow) {
  if (!flow.kdPlaces || !flow.offsetWidth) return;
  const from = flow.getBoundingClientRect();
  const down = getComputedStyle(flow).flexDirection === "column";
  const box = (id) => flow.kdPlaces.get(id).getBoundingClientRect();
  // Where a line ends: at the row's name, if the number is the first after it.
  const end = (id) => {
    const place = flow.kdPlaces.get(id);
    const [name, first] = place.parentElement.children;
    return (place === first && name.offsetWidth && !down ? name : place).getBoundingClientRect();
  };
  flow.kdLines.replaceChildren(
    ...numbers(flow).flatMap(({ id, parts }) =>
      parts.map((part) => {
        const a = box(part);
        const same = !down && Math.abs(a.left - box(id).left) < a.width; // one below the other
        const b = same ? box(id) : end(id);
        const [x1, y1] = down || same ? [a.left + a.width / 2, a.bottom] : [a.right, a.top + a.height / 2];
        const [x2, y2] = down || same ? [b.left + b.width / 2, b.top] : [b.left, b.top + b.height / 2];
        const [mx, my] = [(x1 + x2) / 2, (y1 + y2) / 2];
        const bend = down || same ? `${x1} ${my} ${x2} ${my}` : `${mx} ${y1} ${mx} ${y2}`;
        const path = document.createElementNS(SVG, "path");
        path.setAttribute("d", `M${x1} ${y1}C${bend} ${x2} ${y2}`);
        path.setAttribute("transform", `translate(${-from.left} ${-from.top})`);
        path.dataset.ends = `${part} ${id}`;
        return path;
      }),
    ),
  );
}

// Mark all that a number is made of, and all that is made of it.
function follow(flow, id) {
  const all = numbers(flow);
  const chosen = all.find((number) => number.id === id);
  const way = new Set();
  if (chosen) {
    const parts = new Map(all.map((number) => [number.id, number.parts]));
    const back = (at) => way.has(at) || (way.add(at), parts.get(at).forEach(back));
    const on = (at) =>
      all.filter(({ parts }) => parts.includes(at)).forEach((next) => (way.add(next.id), on(next.id)));
    if (chosen.way.length) [id, ...chosen.way].forEach((at) => way.add(at));
    else back(id);
    on(id);
  }
  flow.classList.toggle("kd-flow-following", Boolean(chosen));
  for (const [at, place] of flow.kdPlaces) {
    place.classList.toggle("kd-flow-way", way.has(at));
    place.classList.toggle("kd-flow-chosen", at === id);
  }
  for (const path of flow.kdLines.children) {
    const [a, b] = path.dataset.ends.split(" ");
    path.classList.toggle("kd-flow-way", way.has(a) && way.has(b));
  }
  flow.kdHow.textContent = chosen ? `${chosen.name}: ${chosen.value}. ${chosen.how}` : HINT;
}

function move(flow, event) {
  const [across, along] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
  const at = document.activeElement;
  if (across === undefined || !at?.dataset.id) return;
  event.preventDefault();
  const here = at.getBoundingClientRect();
  const middle = ({ left, right, top, bottom }) => [(left + right) / 2, (top + bottom) / 2];
  const [x, y] = middle(here);
  // The nearest in that direction; what lies straight ahead counts as nearer.
  const ahead = [...flow.kdPlaces.values()]
    .map((place) => {
      const [px, py] = middle(place.getBoundingClientRect());
      const way = across ? (px - x) * across : (py - y) * along;
      const aside = across ? Math.abs(py - y) : Math.abs(px - x);
      return { place, way, far: way + 3 * aside };
    })
    .filter(({ way }) => way > 4)
    .sort((a, b) => a.far - b.far)[0];
  if (!ahead) return;
  at.tabIndex = -1;
  ahead.place.tabIndex = 0;
  ahead.place.focus();
}

function numbers(flow) {
  return flow.kdData.stages.flatMap(({ rows }) => rows.flatMap(({ numbers }) => numbers));
}

function idOf(event) {
  return event.target.closest?.("button")?.dataset.id;
}

function element(tag, name, text = "") {
  return Object.assign(document.createElement(tag), { className: name, textContent: text });
}
