package main

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// copy consumes a topic and produces what it read to another, in transactions of which every third is aborted, until
// that many records were copied. It answers with the number of transactions that were committed.
func (q *question) copy(ctx context.Context, _ *kgo.Client) (any, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(q.BootstrapServers, ",")...),
		kgo.TransactionalID(q.Group),
		kgo.ConsumerGroup(q.Group),
		kgo.ConsumeTopics(q.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RequireStableFetchOffsets(),
	}
	if q.ServerSide {
		options = append(options, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}
	session, err := kgo.NewGroupTransactSession(options...)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	copied, transactions, ends := 0, 0, 0
	for copied < q.Count {
		fetches := session.PollRecords(ctx, 20)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := session.Begin(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			session.Produce(ctx, &kgo.Record{Topic: q.Target, Value: record.Value}, nil)
		})
		ends++
		committed, err := session.End(ctx, kgo.TransactionEndTry(ends%3 != 0))
		if err != nil {
			return nil, err
		}
		if committed {
			copied += fetches.NumRecords()
			transactions++
		}
	}
	return transactions, nil
}
