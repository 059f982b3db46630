// Program of the client tests: franz-go as a member of a group, or one question asked through its admin
// client and producer.
//
//	franz-go member CONFIG   plays a member until SIGTERM or the end of standard input; see member.go
//	franz-go ask QUESTION    answers one question; see ask.go
//
// CONFIG and QUESTION are JSON objects; so is every line of standard input and output.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: franz-go member|ask JSON"))
	}
	run := map[string]func(string) error{"member": playMember, "ask": ask}[os.Args[1]]
	if run == nil {
		fail(fmt.Errorf("unknown mode %q", os.Args[1]))
	}
	if err := run(os.Args[2]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

var saying sync.Mutex

// say writes one line of standard output; callbacks of the client and the poll loop may call it at the same
// time.
func say(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		fail(err)
	}
	saying.Lock()
	defer saying.Unlock()
	os.Stdout.Write(append(text, '\n'))
}
