// The same 23 steps with pusher-js against one server; prints what each gave, one JSON object a line.
//
//   node steps.cjs '{"modules": ..., "port": ..., "id": ..., "key": ..., "secret": ..., "name": ...}'
//
// It signs by itself, as an application's endpoints would. Numbers that differ by chance are left out.
const wish = JSON.parse(process.argv[2]);
const crypto = require("crypto");
const http = require("http");
const Pusher = require(require.resolve("pusher-js", { paths: [wish.modules] }));
const nacl = require(require.resolve("tweetnacl", { paths: [wish.modules] }));

const hmac = (text) => crypto.createHmac("sha256", wish.secret).update(text).digest("hex");
const auth = (text) => `${wish.key}:${hmac(text)}`;
const sealing = crypto.createHash("sha256").update("a secret of both").digest();
const patience = 60000;

function call(method, path, body) {
  const text = body === undefined ? "" : JSON.stringify(body);
  const query = { auth_key: wish.key, auth_timestamp: Math.floor(Date.now() / 1000), auth_version: "1.0" };
  if (method === "POST") query.body_md5 = crypto.createHash("md5").update(text).digest("hex");
  const pairs = Object.keys(query).sort().map((name) => `${name}=${query[name]}`).join("&");
  const full = `/apps/${wish.id}${path}`;
  const options = {
    host: "127.0.0.1", port: wish.port, method, headers: { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) },
    path: `${full}?${pairs}&auth_signature=${hmac(`${method}\n${full}\n${pairs}`)}`,
  };
  return new Promise((resolve, reject) => {
    const request = http.request(options, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve([answer.statusCode, Buffer.concat(parts).toString()]));
    });
    request.on("error", reject);
    request.end(text);
  });
}
const publish = (channel, name, data, more = {}) => call("POST", "/events", { channel, name, data: JSON.stringify(data), ...more });

function page(user) {
  const pusher = new Pusher(wish.key, {
    cluster: "", wsHost: "127.0.0.1", wsPort: wish.port, forceTLS: false, enabledTransports: ["ws"], disableStats: true,
    channelAuthorization: {
      customHandler: ({ socketId, channelName }, done) => {
        if (channelName.includes("forbidden")) return done(null, { auth: `${wish.key}:${"0".repeat(64)}` });
        const answer = {};
        let text = `${socketId}:${channelName}`;
        if (channelName.startsWith("presence-")) {
          answer.channel_data = JSON.stringify({ user_id: user, user_info: { name: user } });
          text += `:${answer.channel_data}`;
        }
        if (channelName.startsWith("private-encrypted-")) answer.shared_secret = sealing.toString("base64");
        return done(null, { ...answer, auth: auth(text) });
      },
    },
    userAuthentication: {
      customHandler: ({ socketId }, done) => {
        const user_data = JSON.stringify({ id: user });
        done(null, { auth: auth(`${socketId}::user::${user_data}`), user_data });
      },
    },
  });
  return pusher;
}

// What the next event is, once: from a channel, a connection, anything with bind.
const next = (source, event) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error(`no ${event}`)), patience);
  const take = (data) => { clearTimeout(timer); source.unbind(event, take); resolve(data); };
  source.bind(event, take);
});
const subscribed = async (pusher, name) => { const channel = pusher.subscribe(name); return [channel, await next(channel, "pusher:subscription_succeeded")]; };
const text = (value) => JSON.stringify(value, (_, inner) => (inner && typeof inner === "object" && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort()) : inner));
let step = 0;
const say = (what, ...values) => console.log(JSON.stringify({ step: ++step, what, values: values.map((value) => JSON.parse(text(value === undefined ? null : value))) }));
// Everything that was sent before has been dealt with.
const settled = async (pusher) => {
  pusher.connection.send_event("pusher:ping", {});
  for (;;) {
    const message = await next(pusher.connection, "message");
    if (message.event === "pusher:pong") return message;
  }
};

(async () => {
  const n = wish.name, one = page("ada"), two = page("bob");
  const names = { public: `public-${n}`, private: `private-${n}`, presence: `presence-${n}`, sealed: `private-encrypted-${n}`, cache: `cache-${n}`, kept: [`private-cache-${n}`, `private-encrypted-cache-${n}`], room: `presence-cache-${n}` };
  await Promise.all([one, two].map((pusher) => next(pusher.connection, "connected")));
  say("connected", one.connection.state, /^\d+\.\d+$/.test(one.connection.socket_id));

  const [open] = await subscribed(one, names.public);
  say("public channel", open.subscribed);
  let coming = next(open, "e");
  say("event", await publish(names.public, "e", { a: [1, "ü"] }), await coming);

  const [closed] = await subscribed(one, names.private);
  coming = next(closed, "e");
  say("private channel", await publish(names.private, "e", "text"), await coming);
  const refused = next(one.connection, "error");
  one.subscribe(`private-forbidden-${n}`);
  say("refused channel", (await refused).data);

  const [room, members] = await subscribed(one, names.presence);
  say("presence channel", members.count, members.me, members.members);
  coming = next(room, "pusher:member_added");
  const [, others] = await subscribed(two, names.presence);
  say("member added", await coming, others.count, others.members);
  say("users", (await call("GET", `/channels/${names.presence}/users`))[0]);
  coming = next(room, "pusher:member_removed");
  two.unsubscribe(names.presence);
  say("member removed", (await coming).id, room.members.count);

  const [sealed] = await subscribed(one, names.sealed);
  const nonce = crypto.randomBytes(24), box = nacl.secretbox(Buffer.from(JSON.stringify({ secret: 1 })), nonce, sealing);
  coming = next(sealed, "e");
  await publish(names.sealed, "e", { nonce: nonce.toString("base64"), ciphertext: Buffer.from(box).toString("base64") });
  say("encrypted channel", await coming);

  const cache = one.subscribe(names.cache);
  say("cache miss", await next(cache, "pusher:cache_miss"));
  await publish(names.cache, "last", { n: 1 });
  say("last event", await next(two.subscribe(names.cache), "last"));
  const missed = [];
  for (const name of names.kept) missed.push(await next(one.subscribe(name), "pusher:cache_miss"));
  // The server takes no member on a cache channel.
  coming = next(one.connection, "error");
  one.subscribe(names.room);
  say("further cache channels", missed, (await coming).data);
  one.unsubscribe(names.room);

  const [heard] = await subscribed(two, names.private);
  coming = next(heard, "client-hello");
  say("client event", closed.trigger("client-hello", { from: "ada" }), await coming);
  coming = next(one.connection, "error");
  one.connection.send_event("client-hello", {}, names.public);
  say("refused client event", (await coming).data);

  coming = next(one, "pusher:signin_success");
  one.signin();
  say("sign-in", JSON.parse((await coming).user_data));
  coming = next(one.user, "to-you");
  say("to the user", await publish("#server-to-user-ada", "to-you", { n: 2 }), await coming);

  say("ping", await settled(one));
  coming = next(open, "large");
  await publish(names.public, "large", "x".repeat(500000));
  say("large message", (await coming).length);

  const seen = [];
  open.bind_global((event, data) => { if (!event.startsWith("pusher:")) seen.push([event, data]); });
  await publish(names.public, "not-for-one", 1, { socket_id: one.connection.socket_id });
  await call("POST", "/batch_events", { batch: [1, 2, 3].map((data) => ({ channel: names.public, name: "batch", data: String(data) })) });
  while (seen.length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
  say("batch without the sender's", seen);

  one.unsubscribe(names.private);
  await settled(one);
  say("unsubscribed", (await call("GET", `/channels/${names.private}?`.slice(0, -1)))[0], one.channel(names.private) === undefined);

  const before = one.connection.socket_id, again = next(one.connection, "connected"), back = next(open, "pusher:subscription_succeeded");
  say("reconnect", await call("POST", "/users/ada/force_reconnect"), (await again, await back, one.connection.socket_id !== before));
  coming = next(open, "e");
  say("after it", await publish(names.public, "e", "back"), await coming);
  process.exit(0);
})().catch((error) => { console.error(error.stack); process.exit(1); });
