package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const patience = 30 * time.Second

// question is the argument of `ask`. The answer is one line: {"answer": …}, or {"error": Kafka's name of it}.
type question struct {
	BootstrapServers string   `json:"bootstrap_servers"`
	Do               string   `json:"do"` // create, produce, copy, describe, lag, offsets, reset or delete
	Topic            string   `json:"topic"`
	Partitions       int32    `json:"partitions"`
	Keys             []string `json:"keys"`
	Group            string   `json:"group"`
	Offset           int64    `json:"offset"`
	Target           string   `json:"target"`
	Count            int      `json:"count"`
	ServerSide       bool     `json:"server_side"` // use the consumer protocol
}

func ask(text string) error {
	var q question
	if err := json.Unmarshal([]byte(text), &q); err != nil {
		return err
	}
	answers := map[string]func(context.Context, *kgo.Client) (any, error){
		"create":   q.create,
		"produce":  q.produce,
		"copy":     q.copy,
		"describe": q.describe,
		"lag":      q.lag,
		"offsets":  q.offsets,
		"reset":    q.reset,
		"delete":   q.delete,
	}
	if answers[q.Do] == nil {
		return fmt.Errorf("unknown question %q", q.Do)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(q.BootstrapServers, ",")...),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), // keys by murmur2, as in Java
	)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := answers[q.Do](ctx, client)
	var refused *kerr.Error
	if errors.As(err, &refused) {
		say(map[string]string{"error": refused.Message})
		return nil
	}
	if err == nil {
		say(map[string]any{"answer": answer})
	}
	return err
}

func (q *question) create(ctx context.Context, client *kgo.Client) (any, error) {
	made, err := kadm.NewClient(client).CreateTopic(ctx, q.Partitions, 1, nil, q.Topic)
	return made.NumPartitions, err
}

// produce sends one record a key and answers with the partition that each went to.
func (q *question) produce(ctx context.Context, client *kgo.Client) (any, error) {
	records := make([]*kgo.Record, 0, len(q.Keys))
	for _, key := range q.Keys {
		records = append(records, &kgo.Record{Topic: q.Topic, Key: []byte(key), Value: []byte("x")})
	}
	placed := map[string]int32{}
	for _, result := range client.ProduceSync(ctx, records...) {
		if result.Err != nil {
			return nil, result.Err
		}
		placed[string(result.Record.Key)] = result.Record.Partition
	}
	return placed, nil
}

func (q *question) describe(ctx context.Context, client *kgo.Client) (any, error) {
	groups, err := kadm.NewClient(client).DescribeGroups(ctx, q.Group)
	if err != nil {
		return nil, err
	}
	group := groups[q.Group]
	members := map[string]any{}
	for _, member := range group.Members {
		partitions := [][]any{}
		if assigned, ok := member.Assigned.AsConsumer(); ok {
			for _, topic := range assigned.Topics {
				for _, number := range topic.Partitions {
					partitions = append(partitions, []any{topic.Topic, number})
				}
			}
		}
		members[member.ClientID] = map[string]any{
			"member_id": member.MemberID, "host": member.ClientHost, "partitions": partitions,
		}
	}
	return map[string]any{"state": group.State, "strategy": group.Protocol, "members": members}, group.Err
}

// lag answers with the lag of the group's partitions of the topic, by number.
func (q *question) lag(ctx context.Context, client *kgo.Client) (any, error) {
	groups, err := kadm.NewClient(client).Lag(ctx, q.Group)
	if err != nil {
		return nil, err
	}
	group, lags := groups[q.Group], map[int32]int64{}
	for number, lag := range group.Lag[q.Topic] {
		if lag.Err != nil {
			return nil, lag.Err
		}
		lags[number] = lag.Lag
	}
	return lags, group.Error()
}

func (q *question) offsets(ctx context.Context, client *kgo.Client) (any, error) {
	answers, err := kadm.NewClient(client).FetchOffsets(ctx, q.Group)
	if err != nil {
		return nil, err
	}
	offsets := map[int32]int64{}
	for number, answer := range answers[q.Topic] {
		if answer.Err != nil {
			return nil, answer.Err
		}
		offsets[number] = answer.At
	}
	return offsets, nil
}

// reset sets the group's offset in every partition of the topic.
func (q *question) reset(ctx context.Context, client *kgo.Client) (any, error) {
	var wanted kadm.Offsets
	for number := range q.Partitions {
		wanted.Add(kadm.Offset{Topic: q.Topic, Partition: number, At: q.Offset, LeaderEpoch: -1})
	}
	return nil, kadm.NewClient(client).CommitAllOffsets(ctx, q.Group, wanted)
}

func (q *question) delete(ctx context.Context, client *kgo.Client) (any, error) {
	deleted, err := kadm.NewClient(client).DeleteGroup(ctx, q.Group)
	if err != nil {
		return nil, err
	}
	return nil, deleted.Err
}
