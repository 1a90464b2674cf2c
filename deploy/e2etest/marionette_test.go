package e2etest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// marionette speaks Mozilla's remote protocol with a running program of theirs: numbered commands and
// answers in JSON, each with its length before it.
type marionette struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	last int
}

// newMarionette begins a session that may do what the program's own scripts may.
func newMarionette(t *testing.T, conn net.Conn) *marionette {
	t.Helper()
	m := &marionette{t: t, conn: conn, in: bufio.NewReader(conn)}
	if hello, err := m.read(); err != nil {
		t.Fatalf("the program does not greet: %v %s", err, hello)
	}
	m.do("WebDriver:NewSession", map[string]any{})
	m.do("Marionette:SetContext", map[string]any{"value": "chrome"})
	m.do("WebDriver:SetTimeouts", map[string]any{"script": patience.Milliseconds()})
	return m
}

// read reads one message.
func (m *marionette) read() (json.RawMessage, error) {
	m.conn.SetReadDeadline(time.Now().Add(2 * patience)) // the program has patience itself
	length, err := m.in.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil {
		return nil, err
	}
	text := make([]byte, n)
	_, err = io.ReadFull(m.in, text)
	return text, err
}

// do carries out a command and gives its result.
func (m *marionette) do(name string, parameters map[string]any) json.RawMessage {
	m.t.Helper()
	m.last++
	text, err := json.Marshal([]any{0, m.last, name, parameters})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(m.conn, "%d:%s", len(text), text); err != nil {
		m.t.Fatal(err)
	}
	text, err = m.read()
	if err != nil {
		m.t.Fatalf("%s: %v", name, err)
	}
	var answer [4]json.RawMessage // type, number, error, result
	if err := json.Unmarshal(text, &answer); err != nil {
		m.t.Fatalf("%s: %v in %s", name, err, text)
	}
	if string(answer[2]) != "null" {
		m.t.Fatalf("%s: %s", name, answer[2])
	}
	return answer[3]
}

// run runs a script, whose text ends with what it returns or promises, and puts that into result.
func (m *marionette) run(script string, result any, args ...any) {
	m.t.Helper()
	if args == nil {
		args = []any{}
	}
	answer := m.do("WebDriver:ExecuteScript", map[string]any{"script": script, "args": args, "sandbox": "system", "newSandbox": true})
	var value struct{ Value json.RawMessage }
	if err := json.Unmarshal(answer, &value); err != nil {
		m.t.Fatal(err)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(value.Value, result); err != nil {
		m.t.Fatalf("%v in %s", err, value.Value)
	}
}
