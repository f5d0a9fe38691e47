// What both pages need: a connection, and a channel whose state is loaded whenever it is (again) subscribed.

function csrf() {
  return { "X-CSRFToken": document.cookie.match(/csrftoken=([^;]+)/)[1] };
}

function connect() {
  const { key, ...options } = JSON.parse(document.querySelector("#socket").textContent);
  const pusher = new Pusher(key, {
    ...options,
    channelAuthorization: { endpoint: "/sockudo/auth/", headers: csrf() },
  });
  pusher.connection.bind("state_change", ({ current }) => {
    const state = document.querySelector("#state");
    state.textContent = state.dataset.state = current;
  });
  return pusher;
}

// Events that come while the state is being loaded are shown at once: a version says which of two is later.
function follow(pusher, name, handlers, reload) {
  const channel = pusher.subscribe(name);
  for (const [event, handler] of Object.entries(handlers)) channel.bind(event, handler);
  channel.bind("pusher:subscription_succeeded", reload);
  return channel;
}

async function load(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
