// Subscribes as a browser would and prints what pusher-js gives to the page, one JSON object a line.
//
//   node subscribe.cjs '{"modules": ..., "library": "pusher-js", "key": ..., "port": ..., "auth": ..., "token": ...,
//                        "channels": [...], "sign_in": false}'
//
// Ends when its standard input ends.
const wish = JSON.parse(process.argv[2]);
const Pusher = require(require.resolve(wish.library, { paths: [wish.modules] }));
const say = (what) => console.log(JSON.stringify(what));
const headers = { Authorization: `Bearer ${wish.token}` };

const pusher = new Pusher(wish.key, {
  cluster: "",
  wsHost: "127.0.0.1",
  wsPort: wish.port,
  forceTLS: false,
  enabledTransports: ["ws"],
  disableStats: true,
  channelAuthorization: { endpoint: `${wish.auth}/pusher/auth`, transport: "ajax", headers },
  userAuthentication: { endpoint: `${wish.auth}/pusher/user-auth`, transport: "ajax", headers },
});

pusher.connection.bind("connected", () => say({ connected: pusher.connection.socket_id }));
pusher.connection.bind("error", (error) => say({ failed: error }));
pusher.bind("pusher:signin_success", (data) => say({ signed_in: JSON.parse(data.user_data).id }));
pusher.user.bind("to-you", (data) => say({ channel: null, event: "to-you", data }));
for (const name of wish.channels) {
  const channel = pusher.subscribe(name);
  channel.bind("pusher:subscription_succeeded", (members) => say({ subscribed: name, me: members?.me ?? null }));
  channel.bind("pusher:subscription_error", (error) => say({ refused: name, error }));
  channel.bind_global((event, data) => {
    if (!event.startsWith("pusher:")) say({ channel: name, event, data });
  });
}
if (wish.sign_in) pusher.signin();
process.stdin.on("end", () => process.exit(0)).resume();
