// What an application sees through laravel-echo; prints what each step gave, one JSON object a line.
//
//   node echo.cjs '{"modules": ..., "port": ..., "id": ..., "key": ..., "secret": ..., "name": ...}'
//
// Its authorization endpoints are this program's, as a Laravel application's would be.
const wish = JSON.parse(process.argv[2]);
const crypto = require("crypto");
const http = require("http");
const path = require("path");
const { pathToFileURL } = require("url");
const Pusher = require(require.resolve("pusher-js", { paths: [wish.modules] }));
let Echo;

const hmac = (text) => crypto.createHmac("sha256", wish.secret).update(text).digest("hex");
const say = (what, value) => console.log(JSON.stringify({ what, value: value === undefined ? null : value }));
const patience = 60000;

// One promise for what comes next, and the function that is called with it.
function coming(what) {
  let take;
  const promise = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${what}`)), patience);
    take = (value) => { clearTimeout(timer); resolve(value); };
  });
  return [promise, take];
}

// Laravel's two endpoints.
const endpoints = http.createServer((request, answer) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const asked = new URLSearchParams(Buffer.concat(parts).toString());
    const socket = asked.get("socket_id"), channel = asked.get("channel_name"), user = asked.get("user");
    let body;
    if (request.url.endsWith("/user-auth")) {
      const user_data = JSON.stringify({ id: user });
      body = { auth: `${wish.key}:${hmac(`${socket}::user::${user_data}`)}`, user_data };
    } else if (channel.includes("forbidden")) {
      answer.writeHead(403);
      return answer.end("{}");
    } else if (channel.startsWith("presence-")) {
      const channel_data = JSON.stringify({ user_id: user, user_info: { name: user } });
      body = { auth: `${wish.key}:${hmac(`${socket}:${channel}:${channel_data}`)}`, channel_data };
    } else body = { auth: `${wish.key}:${hmac(`${socket}:${channel}`)}` };
    answer.writeHead(200, { "Content-Type": "application/json" });
    return answer.end(JSON.stringify(body));
  });
});

function publish(channel, name, data, more = {}) {
  const text = JSON.stringify({ channel, name, data: JSON.stringify(data), ...more });
  const query = { auth_key: wish.key, auth_timestamp: Math.floor(Date.now() / 1000), auth_version: "1.0", body_md5: crypto.createHash("md5").update(text).digest("hex") };
  const pairs = Object.keys(query).sort().map((one) => `${one}=${query[one]}`).join("&"), target = `/apps/${wish.id}/events`;
  const options = { host: "127.0.0.1", port: wish.port, method: "POST", headers: { "Content-Type": "application/json" }, path: `${target}?${pairs}&auth_signature=${hmac(`POST\n${target}\n${pairs}`)}` };
  return new Promise((resolve, reject) => http.request(options, (answer) => { answer.resume(); answer.on("end", () => resolve(answer.statusCode)); }).on("error", reject).end(text));
}

function echo(user) {
  const at = `http://127.0.0.1:${endpoints.address().port}`;
  return new Echo({
    broadcaster: "pusher", Pusher, key: wish.key, cluster: "", wsHost: "127.0.0.1", wsPort: wish.port, forceTLS: false, enabledTransports: ["ws"], disableStats: true,
    channelAuthorization: { endpoint: `${at}/broadcasting/auth`, transport: "ajax", params: { user } },
    userAuthentication: { endpoint: `${at}/broadcasting/user-auth`, transport: "ajax", params: { user } },
  });
}
const subscribed = async (channel) => { const [promise, take] = coming(`subscription of ${channel.name}`); channel.subscribed(take); await promise; return channel; };
const heard = async (channel, event, act) => { const [promise, take] = coming(event); channel.listen(event, take); await act(); const got = await promise; channel.stopListening(event); return got; };

endpoints.listen(0, "127.0.0.1", async () => {
  // Only its module for bundlers is one that Node takes as it is.
  Echo = (await import(pathToFileURL(path.join(wish.modules, "laravel-echo", "dist", "echo.js")))).default;
  const n = wish.name, one = echo("ada"), two = echo("bob");

  const open = await subscribed(one.channel(`orders-${n}`));
  say("connected", [one.connectionStatus(), /^\d+\.\d+$/.test(one.socketId())]);
  say("event of a class", await heard(open, "OrderShipped", () => publish(`orders-${n}`, "App\\Events\\OrderShipped", { id: 1 })));
  say("event by its name", await heard(open, ".order.shipped", () => publish(`orders-${n}`, "order.shipped", { id: 2 })));
  const [all, take] = coming("any event");
  open.listenToAll((event, data) => take([event, data]));
  await publish(`orders-${n}`, "App\\Events\\Any", [3]);
  say("all events", await all);
  open.stopListeningToAll();

  const mine = await subscribed(one.private(`user.${n}`)), other = await subscribed(two.private(`user.${n}`));
  say("private channel", await heard(mine, ".e", () => publish(`private-user.${n}`, "e", "text")));
  const [whispered, hear] = coming("whisper");
  other.listenForWhisper("typing", hear);
  mine.whisper("typing", { name: "ada" });
  say("whisper", await whispered);
  const [refused, refuse] = coming("refusal");
  one.private(`forbidden.${n}`).error(refuse);
  say("refused channel", (await refused).status);

  const [here, be] = coming("here"), [joined, join] = coming("joining"), [left, leave] = coming("leaving");
  one.join(`room.${n}`).here(be).joining(join).leaving(leave);
  say("here", await here);
  const [both, beBoth] = coming("here of both");
  two.join(`room.${n}`).here((members) => beBoth(members.map(({ name }) => name).sort()));
  say("joining", await joined);
  say("here of both", await both);
  two.leave(`room.${n}`);
  say("leaving", await left);

  // `toOthers`: the sender's socket is left out.
  const seen = [], [last, end] = coming("last");
  open.listen(".n", (data) => { seen.push(data); if (data === "last") end(); });
  await publish(`orders-${n}`, "n", "not for one", { socket_id: one.socketId() });
  await publish(`orders-${n}`, "n", "last");
  await last;
  say("to others", seen);

  const pusher = one.connector.pusher, [signedIn, sign] = coming("sign-in"), [told, tell] = coming("event of the user");
  pusher.bind("pusher:signin_success", sign);
  one.connector.signin();
  say("sign-in", JSON.parse((await signedIn).user_data));
  pusher.user.bind("e", tell);
  await publish("#server-to-user-ada", "e", { n: 4 });
  say("to the user", await told);

  one.leaveAllChannels();
  one.disconnect();
  say("disconnected", one.connectionStatus());
  process.exit(0);
});
process.on("unhandledRejection", (error) => { console.error(error.stack); process.exit(1); });
