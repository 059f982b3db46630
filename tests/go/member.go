package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// config is tests.clients.member.MemberConfig.
type config struct {
	Client              string   `json:"client"` // franz-go, or franz-go-848: the consumer protocol
	BootstrapServers    string   `json:"bootstrap_servers"`
	Group               string   `json:"group"`
	Topics              []string `json:"topics"`
	ClientID            string   `json:"client_id"`
	Strategy            string   `json:"strategy"`
	InstanceID          *string  `json:"instance_id"`
	SessionTimeoutMs    int64    `json:"session_timeout_ms"`
	HeartbeatIntervalMs int64    `json:"heartbeat_interval_ms"`
	MaxPollIntervalMs   int64    `json:"max_poll_interval_ms"`
	AutoCommitMs        int64    `json:"auto_commit_ms"`
	CommitEachPoll      bool     `json:"commit_each_poll"`
	MetadataMaxAgeMs    int64    `json:"metadata_max_age_ms"`
}

// command is a line of standard input; the line {"reply": ID} says that it was carried out.
type command struct {
	ID        int      `json:"id"`
	Do        string   `json:"do"` // seek, subscribe, hold or release
	Topics    []string `json:"topics"`
	Topic     string   `json:"topic"`
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
}

type member struct {
	config   config
	client   *kgo.Client
	commands chan command
	stop     context.Context
	holding  bool // keep the next records, and with them any rebalance, until told to release them
}

// playMember prints what happens to the member, as {"kind", "partitions", "detail"}, and the records it reads, as
// {"record": [topic, partition, offset, key, value]}.
func playMember(text string) error {
	m := member{commands: make(chan command)}
	if err := json.Unmarshal([]byte(text), &m.config); err != nil {
		return err
	}
	var cancel context.CancelFunc
	m.stop, cancel = signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	options, err := m.options()
	if err != nil {
		return err
	}
	if m.client, err = kgo.NewClient(options...); err != nil {
		return err
	}
	go m.listen(cancel)
	for m.stop.Err() == nil {
		m.obeyAll()
		m.poll()
	}
	m.client.CloseAllowingRebalance()
	return nil
}

func (m *member) options() ([]kgo.Opt, error) {
	c := &m.config
	balancers := map[string]kgo.GroupBalancer{
		"range":              kgo.RangeBalancer(),
		"roundrobin":         kgo.RoundRobinBalancer(),
		"sticky":             kgo.StickyBalancer(),
		"cooperative-sticky": kgo.CooperativeStickyBalancer(),
		"uniform":            kgo.StickyBalancer(), // of the consumer protocol
	}
	if balancers[c.Strategy] == nil {
		return nil, fmt.Errorf("unknown strategy %q", c.Strategy)
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(c.BootstrapServers, ",")...),
		kgo.ClientID(c.ClientID),
		kgo.ConsumerGroup(c.Group),
		kgo.ConsumeTopics(c.Topics...),
		kgo.Balancers(balancers[c.Strategy]),
		kgo.SessionTimeout(milliseconds(c.SessionTimeoutMs)),
		kgo.HeartbeatInterval(milliseconds(c.HeartbeatIntervalMs)),
		kgo.RebalanceTimeout(milliseconds(c.MaxPollIntervalMs)),
		kgo.MetadataMaxAge(milliseconds(c.MetadataMaxAgeMs)),
		kgo.MetadataMinAge(milliseconds(min(c.MetadataMaxAgeMs, 250))),
		kgo.FetchMaxWait(milliseconds(100)),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(m.moved("assigned")),
		kgo.OnPartitionsRevoked(m.revoked),
		kgo.OnPartitionsLost(m.moved("lost")),
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelInfo, nil)),
	}
	if c.Client == "franz-go-848" {
		options = append(options, kgo.ServerSideBalancer())
	}
	if c.InstanceID != nil {
		options = append(options, kgo.InstanceID(*c.InstanceID))
	}
	if c.AutoCommitMs > 0 {
		return append(options, kgo.AutoCommitInterval(milliseconds(c.AutoCommitMs))), nil
	}
	return append(options, kgo.DisableAutoCommit()), nil
}

func milliseconds(number int64) time.Duration {
	return time.Duration(number) * time.Millisecond
}

func (m *member) moved(kind string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
		partitions := [][]any{}
		for topic, numbers := range topics {
			for _, number := range numbers {
				partitions = append(partitions, []any{topic, number})
			}
		}
		say(map[string]any{"kind": kind, "partitions": partitions, "detail": ""})
	}
}

// revoked commits as franz-go itself does where nobody registers such a callback.
func (m *member) revoked(ctx context.Context, client *kgo.Client, topics map[string][]int32) {
	if m.config.AutoCommitMs > 0 {
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			note("error", err.Error())
		}
	}
	m.moved("revoked")(ctx, client, topics)
}

func note(kind, detail string) {
	say(map[string]any{"kind": kind, "partitions": [][]any{}, "detail": detail})
}

// poll hands on the records of one poll; while it holds any, franz-go rebalances nothing.
func (m *member) poll() {
	ctx, cancel := context.WithTimeout(m.stop, milliseconds(50))
	defer cancel()
	fetches := m.client.PollFetches(ctx)
	defer m.client.AllowRebalance()
	fetches.EachError(func(_ string, _ int32, err error) {
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			note("error", err.Error())
		}
	})
	records := fetches.Records()
	if len(records) == 0 {
		return
	}
	for _, r := range records {
		say(map[string]any{"record": []any{r.Topic, r.Partition, r.Offset, string(r.Key), string(r.Value)}})
	}
	if m.config.CommitEachPoll {
		if err := m.client.CommitRecords(m.stop, records...); err != nil {
			note("error", err.Error())
		} else {
			note("committed", "")
		}
	}
	if m.holding {
		note("held", "")
	}
	for m.holding && m.stop.Err() == nil {
		select {
		case next := <-m.commands:
			m.obey(next)
		case <-m.stop.Done():
		}
	}
}

// listen reads commands; when whoever gives them is gone, the member leaves.
func (m *member) listen(leave func()) {
	defer leave()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var next command
		if err := json.Unmarshal(lines.Bytes(), &next); err != nil {
			fail(err)
		}
		m.commands <- next
	}
}

func (m *member) obeyAll() {
	for {
		select {
		case next := <-m.commands:
			m.obey(next)
		default:
			return
		}
	}
}

func (m *member) obey(c command) {
	switch c.Do {
	case "seek":
		m.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
			c.Topic: {c.Partition: {Epoch: -1, Offset: c.Offset}},
		})
	case "subscribe":
		m.client.AddConsumeTopics(c.Topics...)
	case "hold", "release":
		m.holding = c.Do == "hold"
	default:
		fail(fmt.Errorf("unknown command %q", c.Do))
	}
	say(map[string]int{"reply": c.ID})
}
