package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
)

func delivery(door Door) Delivery {
	return Delivery{Doors: []Door{door}, Recipients: []string{"a@x", "b@x", "c@x"}, Messages: 20, Connections: 3,
		Source: corpus.NewGenerator("t", corpus.Fixed(1000)), Done: new(atomic.Int64)}
}

func TestDelivery(t *testing.T) {
	f := &fake{}
	d := delivery(startFake(t, f))
	d.PerMessage, d.Reconnect = 2, true
	r, err := d.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Accepted != 20 || len(r.Latencies) != 20 || d.Done.Load() != 20 || len(f.bodies) != 20 || f.rcpts != 40 || f.dialled != 20 {
		t.Errorf("result %+v, the server saw %d messages, %d recipients, %d connections", r.Accepted, len(f.bodies), f.rcpts, f.dialled)
	}
	seen := map[string]bool{}
	for _, b := range f.bodies {
		seen[b] = true
	}
	if len(seen) != 20 || !seen[string(d.Source.Append(nil, 7))] {
		t.Errorf("%d different messages arrived", len(seen))
	}
}

func TestDeliveryTellsRefusals(t *testing.T) {
	for name, refuse := range map[string]map[string]string{
		"recipient": {"RCPT": "450 4.2.0 later"}, "message": {".": "452 4.3.1 full"}, "greeting": {"EHLO": "421 4.3.2 busy"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := delivery(startFake(t, &fake{refuse: refuse})).Run(t.Context())
			var r *Refusal
			if !errors.As(err, &r) || !r.Temporary() {
				t.Errorf("got %v, want a temporary refusal", err)
			}
		})
	}
}

func TestDeliveryTellsBrokenConnections(t *testing.T) {
	if _, err := delivery(startFake(t, &fake{hangUp: "DATA"})).Run(t.Context()); err == nil {
		t.Error("a server that hangs up at DATA was no error")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	door := Door{Address: l.Addr().String()}
	_ = l.Close()
	if _, err := delivery(door).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "connect to "+door.Address) {
		t.Errorf("an unreachable server: %v", err)
	}
}

func TestStuff(t *testing.T) {
	for in, want := range map[string]string{"": "", ".": "..", "a\r\n.b\r\n..\r\n": "a\r\n..b\r\n...\r\n", "a.b": "a.b"} {
		if got := string(stuff(nil, []byte(in))); got != want {
			t.Errorf("stuff(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestIMAPAnswer(t *testing.T) {
	const dialogue = "* 1 FETCH (BODY[] {5}\r\nab\r\nc FLAGS ())\r\n* OK hm\r\nb1 OK done\r\n"
	var lines []string
	var literals []string
	a := Answer{untagged: func(line string, l [][]byte) {
		lines = append(lines, line)
		for _, x := range l {
			literals = append(literals, string(x))
		}
	}}
	if err := a.read(bufio.NewReader(strings.NewReader(dialogue)), "b1"); err != nil {
		t.Fatal(err)
	}
	if a.Lines != 2 || len(literals) != 1 || literals[0] != "ab\r\nc" || a.Octets != int64(len(dialogue)) || !strings.HasSuffix(lines[0], "FLAGS ())") {
		t.Errorf("%+v, lines %q, literals %q", a, lines, literals)
	}
	var no Answer
	if err := no.read(bufio.NewReader(strings.NewReader("b1 NO [UNAVAILABLE] later\r\n")), "b1"); err == nil || !strings.Contains(err.Error(), "UNAVAILABLE") {
		t.Errorf("NO gave %v", err)
	}
}

// TestMeasure starts a shell whose child burns time and ends: its time must count.
func TestMeasure(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done'; echo; read x")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	u, err := Measure([]int{cmd.Process.Pid})
	if err != nil || u.CPU < 10*time.Millisecond || u.CPU > time.Minute || u.Memory == 0 {
		t.Errorf("measured %+v, %v", u, err)
	}
	_ = in.Close()
	_ = cmd.Wait() // read at the end of its input is an error
	if _, err := Measure([]int{cmd.Process.Pid}); !errors.Is(err, ErrGone) {
		t.Errorf("a process that ended: %v", err)
	}
	below, err := Descendants(os.Getppid())
	if err != nil || len(below) == 0 {
		t.Errorf("descendants of the parent: %v, %v", below, err)
	}
}

func TestCancelEndsADelivery(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := delivery(startFake(t, &fake{}))
	d.Messages = 1 << 30
	done := make(chan error, 1)
	go func() {
		_, err := d.Run(ctx)
		done <- err
	}()
	for d.Done.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("a delivery that was ended tells no error")
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("250-a\r\n250 b\r\n"))
	f.Add([]byte("25"))
	f.Fuzz(func(t *testing.T, data []byte) {
		code, _, err := readReply(bufio.NewReader(bytes.NewReader(data)))
		if err == nil && (code < 200 || code > 599) {
			t.Fatalf("code %d", code)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("* 1 FETCH (BODY[] {2}\r\nxy)\r\nb1 OK\r\n"))
	f.Add([]byte("* {99999999999}\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a := Answer{untagged: func(string, [][]byte) {}}
		if a.read(bufio.NewReaderSize(bytes.NewReader(data), 16), "b1") == nil && !strings.HasPrefix(a.Text, "OK") {
			t.Fatalf("accepted %q", a.Text)
		}
	})
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("1 (a b) c) S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 2 3 4"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseStat(data); err == nil && s.state == "" {
			t.Fatal("no state")
		}
	})
}
