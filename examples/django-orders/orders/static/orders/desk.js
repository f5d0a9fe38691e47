const NEXT = { new: ["packed", "Pack"], packed: ["shipped", "Ship"] };
const orders = new Map(), stock = new Map(), pusher = connect();
const column = (state) => document.querySelector(`[data-column=${state}] ul`);

function element(tag, text, fields = {}) {
  return Object.assign(document.createElement(tag), { textContent: text ?? "", ...fields });
}

function show(order) {
  const known = orders.get(order.id);
  if (known && known.version >= order.version) return;
  known?.card.remove();
  const card = element("li", "", { className: "order" });
  card.dataset.order = order.id;
  card.append(element("small", `#${order.id} · ${order.customer}`), element("b", `${order.quantity} × ${order.item}`));
  if (NEXT[order.state]) {
    const [state, label] = NEXT[order.state], buttons = element("span");
    buttons.append(
      element("button", label, { onclick: () => move(order.id, state) }),
      element("button", "Cancel", { className: "plain", onclick: () => move(order.id, "cancelled") }),
    );
    card.append(buttons);
  }
  orders.set(order.id, { ...order, card });
  if (order.state !== "cancelled") {
    const later = [...column(order.state).children].find((other) => Number(other.dataset.order) < order.id);
    column(order.state).insertBefore(card, later ?? null);
  }
  for (const section of document.querySelectorAll("[data-column]")) {
    section.querySelector("h2 b").textContent = section.querySelectorAll("li").length;
  }
}

async function move(id, state) {
  const body = new URLSearchParams({ state });
  const answer = await fetch(`/orders/${id}/move/`, { method: "POST", headers: csrf(), body });
  document.querySelector("#problem").textContent = answer.ok ? "" : (await answer.json()).error;
}

function showStock({ sku, stock: left, name }) {
  let line = stock.get(sku);
  if (!line) {
    if (!name) return;
    line = element("li");
    line.append(element("span", name), element("b"), element("i"));
    line.dataset.sku = sku;
    line.dataset.most = Math.max(left, 1);
    stock.set(sku, line);
    document.querySelector("#stock").append(line);
  }
  line.dataset.most = Math.max(line.dataset.most, left);
  line.querySelector("b").textContent = left;
  line.querySelector("i").style.setProperty("--part", left / line.dataset.most);
  line.classList.toggle("low", left < 10);
}

async function reload() {
  const board = await load("/desk/board/");
  board.orders.reverse().forEach(show);
  board.products.forEach(showStock);
}

follow(pusher, "private-desk", { created: show, changed: show }, reload);
follow(pusher, "private-stock", { level: showStock }, reload);

const people = pusher.subscribe("presence-desk");
function showPeople() {
  const faces = [];
  people.members.each(({ id, info }) => {
    const face = element("li", info.name[0].toUpperCase(), { title: info.name });
    face.style.setProperty("--hue", (id * 137) % 360);
    faces.push(face);
  });
  document.querySelector("#people").replaceChildren(...faces);
}
for (const event of ["pusher:subscription_succeeded", "pusher:member_added", "pusher:member_removed"]) people.bind(event, showPeople);
