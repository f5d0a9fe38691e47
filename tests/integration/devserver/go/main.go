// What a server in Go does with pusher-http-go; prints what each call gave, one JSON object a line.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	pusher "github.com/pusher/pusher-http-go/v5"
)

type wish struct {
	Port          int    `json:"port"`
	Name          string `json:"name"`
	Id            string `json:"id"`
	Key           string `json:"key"`
	Secret        string `json:"secret"`
	SocketId      string `json:"socket_id"`
	HookKey       string `json:"hook_key"`
	HookSignature string `json:"hook_signature"`
	HookBody      string `json:"hook_body"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func say(what string, value any) {
	line, err := json.Marshal(map[string]any{"what": what, "value": value})
	check(err)
	fmt.Println(string(line))
}

func main() {
	var wish wish
	check(json.Unmarshal([]byte(os.Args[1]), &wish))
	client := pusher.Client{AppID: wish.Id, Key: wish.Key, Secret: wish.Secret, Host: fmt.Sprintf("127.0.0.1:%d", wish.Port)}
	count := "subscription_count"

	check(client.Trigger(wish.Name, "e", map[string]int{"n": 1}))
	check(client.TriggerMulti([]string{wish.Name, wish.Name + "-2"}, "e", "2"))
	other := "1.1"
	check(client.TriggerExclusive(wish.Name, "e", "3", other))
	batch, err := client.TriggerBatch([]pusher.Event{
		{Channel: wish.Name, Name: "e", Data: "4", Info: &count},
		{Channel: wish.Name + "-2", Name: "e", Data: "5"},
	})
	check(err)
	counts := []any{}
	for _, item := range batch.Batch {
		counts = append(counts, item.SubscriptionCount)
	}
	say("batch", counts)

	presence, users := "presence-"+wish.Name, "user_count"
	channels, err := client.Channels(pusher.ChannelsParams{FilterByPrefix: &presence, Info: &users})
	check(err)
	found := map[string]int{}
	for name, channel := range channels.Channels {
		found[name] = channel.UserCount
	}
	say("channels", found)
	channel, err := client.Channel(wish.Name, pusher.ChannelParams{Info: &count})
	check(err)
	say("channel", []any{channel.Occupied, channel.SubscriptionCount})
	there, err := client.GetChannelUsers(presence)
	check(err)
	ids := []string{}
	for _, user := range there.List {
		ids = append(ids, user.ID)
	}
	say("users", ids)

	header := http.Header{"X-Pusher-Key": {wish.HookKey}, "X-Pusher-Signature": {wish.HookSignature}}
	webhook, err := client.Webhook(header, []byte(wish.HookBody))
	check(err)
	names := []string{}
	for _, event := range webhook.Events {
		names = append(names, event.Name)
	}
	say("webhook", names)

	answer, err := client.AuthorizePrivateChannel([]byte("socket_id=" + wish.SocketId + "&channel_name=private-" + wish.Name))
	check(err)
	var signed struct{ Auth string }
	check(json.Unmarshal(answer, &signed))
	say("auth", signed.Auth)
}
