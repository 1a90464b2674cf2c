package engine_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the transcripts")
	os.Exit(m.Run())
}

// TestTranscripts plays the conversations of testdata/*.imap, those of testdata/examples, which RFCs have, and
// those of testdata/clients, which real clients had. A line begins with
//
//	C:  what the client sends (C2: the second one, and so on)
//	S:  what the server answers; -update writes these
//	!   what happens besides: see stage.happen
//	#   a remark
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.imap")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, folder := range []string{"clients", "examples"} {
		more, err := filepath.Glob("testdata/" + folder + "/*.imap")
		if err != nil || len(more) == 0 {
			t.Fatal("no transcripts of", folder, err)
		}
		files = append(files, more...)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), ".imap"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newStage(t).play(string(script))
			if flag.Lookup("update").Value.String() == "true" {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(script) {
				t.Errorf("the conversation went otherwise; run with -update and look at the difference\n%s", got)
			}
		})
	}
}

// stage is where a conversation takes place: a store and some sessions, of which one moves at a time.
type stage struct {
	t       testing.TB
	cluster *mailstoretest.Cluster
	store   *mailstore.Store
	engine  *engine.Engine
	config  engine.Config
	now     time.Time
	slow    time.Duration // how much later it is whenever somebody looks
	actors  map[string]*actor
	order   []string
	secure  bool
	sharing *neighbourhood // nil where accounts share nothing
	out     strings.Builder

	objects     objects
	keys        byte                          // that were made to sign URLs
	annotations []index.Annotation            // of the server
	quotas      map[index.AccountID][2]uint64 // octets and messages
}

func newStage(t testing.TB) *stage {
	st := &stage{t: t, cluster: mailstoretest.NewCluster(t), now: time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC),
		actors: map[string]*actor{}, quotas: map[index.AccountID][2]uint64{3: {2048, 3}}, secure: true}
	clock := func() time.Time {
		st.now = st.now.Add(st.slow)
		return st.now
	}
	st.store = st.cluster.Store(func(c *mailstore.Config) {
		c.Clock = clock
		c.Blobs = &st.objects
		c.NewURLKey = func() (key [32]byte) {
			st.keys++
			for i := range key {
				key[i] = st.keys // that of the first is 32 times 1, and so on
			}
			return key
		}
		c.Limits = func(a index.AccountID) (uint64, uint64) {
			return st.quotas[a][0], st.quotas[a][1]
		}
	})
	st.config = engine.Config{Version: "test", MaxMessage: 1 << 20, Limits: wire.DefaultLimits(), Now: clock, Events: st, Site: st}
	st.engine = engine.New(st.config)
	return st
}

func (st *stage) Command(string, wire.StatusKind)         {}
func (st *stage) LoggedIn(engine.Identity, string, error) {}

// Administrator implements engine.Site: account 9 administers.
func (st *stage) Administrator(a index.AccountID) (bool, error) { return a == 9, nil }

func (st *stage) Account(_ context.Context, address string) (index.AccountID, error) {
	if name, _, _ := strings.Cut(address, "@"); len(name) == 2 && name[0] == 'u' {
		return index.AccountID(name[1] - '0'), nil // u2@example.org is account 2
	}
	return 0, index.ErrNoAccount
}

func (st *stage) Local(host string) bool { return strings.EqualFold(host, "mail.example.org") }

func (st *stage) Usage(ctx context.Context, a index.AccountID) (index.Usage, error) {
	return st.store.Account(a).Usage(ctx)
}

func (st *stage) SetQuota(_ context.Context, a index.AccountID, bytes, messages uint64) error {
	st.quotas[a] = [2]uint64{bytes, messages}
	return nil
}

func (st *stage) ServerMetadata(context.Context) ([]index.Annotation, error) {
	return slices.Clone(st.annotations), nil
}

func (st *stage) SetServerMetadata(_ context.Context, changes []index.Annotation) error {
	for _, c := range changes {
		st.annotations = slices.DeleteFunc(st.annotations, func(a index.Annotation) bool { return a.Entry == c.Entry })
		if c.Value != nil {
			st.annotations = append(st.annotations, c)
		}
	}
	return nil
}

func (st *stage) Unexpected(name string, err error) { st.t.Errorf("%s: %v", name, err) }

func (st *stage) play(script string) string {
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		who, text, _ := strings.Cut(line, ":")
		switch {
		case line == "" || line[0] == '#':
			fmt.Fprintln(&st.out, line)
		case line[0] == '!':
			fmt.Fprintln(&st.out, line)
			st.happen(strings.Fields(line[1:]))
		case line[0] == 'C':
			a := st.actor(strings.TrimPrefix(who, "C"), nil)
			fmt.Fprintln(&st.out, line)
			a.say(strings.TrimPrefix(text, " ") + "\r\n")
			st.hear()
		}
	}
	for _, name := range st.order {
		a := st.actors[name]
		a.hangUp()
	}
	return st.out.String()
}

// happen is what a line with ! does.
func (st *stage) happen(words []string) {
	switch words[0] {
	case "insecure": // before the first client: no TLS yet
		st.secure = false
	case "secure":
		st.secure = true
	case "user": // user NAME ACCOUNT: a session that is logged in
		id := engine.Identity{Account: index.AccountID(words[2][0] - '0'), Address: "fred@example.org"}
		if st.sharing != nil {
			id.Address = st.sharing.addresses[id.Account]
		}
		st.actor(strings.TrimPrefix(words[1], "C"), &id)
	case "deliver": // deliver ACCOUNT MAILBOX MESSAGE
		st.deliver(index.AccountID(words[1][0]-'0'), words[2], words[3])
	case "letter": // letter ACCOUNT MAILBOX HEADER | HEADER | …: a message of these header fields
		text := strings.ReplaceAll(strings.Join(words[3:], " "), " | ", "\n") + "\n\ntext\n"
		st.deliverText(index.AccountID(words[1][0]-'0'), words[2], []byte(text))
	case "fill": // fill ACCOUNT MAILBOX COUNT
		var n int
		fmt.Sscan(words[3], &n)
		for range n {
			st.deliver(index.AccountID(words[1][0]-'0'), words[2], "plain")
		}
	case "slow": // slow DURATION: each look at the clock takes so long
		d, err := time.ParseDuration(words[1])
		if err != nil {
			st.t.Fatal(err)
		}
		st.slow = d
	case "limit": // limit MESSAGES SAVES: of what one command of a client that comes from now on works on
		var messages, saves int
		fmt.Sscan(strings.Join(words[1:], " "), &messages, &saves)
		st.limit(messages, saves)
	case "hide": // hide CAPABILITY…: from clients that come from now on
		st.config.Hide = words[1:]
		st.engine = engine.New(st.config)
	case "sharing": // before the first client: accounts may share; then see neighbourhood.happen
		if st.sharing == nil {
			st.sharing = newNeighbourhood(st)
		}
		if len(words) > 1 {
			st.sharing.happen(words[1:])
		}
	case "objects": // see objects.happen
		st.objects.happen(st, words[1])
	case "minority":
		st.cluster.Fail(cluster.ErrUnavailable)
	case "upgrading": // some nodes are of the version before
		st.cluster.Fail(fmt.Errorf("%w: %w", command.ErrTooEarly, cluster.ErrUnavailable))
	case "majority":
		st.cluster.Fail(nil)
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			st.t.Fatal(err)
		}
		st.now = st.now.Add(d)
	default:
		st.t.Fatalf("nobody knows what %q is", words)
	}
	st.hear()
}

func (st *stage) limit(messages, saves int) {
	st.config.MessageLimit, st.config.SaveLimit = messages, saves
	st.engine = engine.New(st.config)
}

func (st *stage) deliver(a index.AccountID, mailbox, name string) {
	text, err := os.ReadFile("testdata/messages/" + name + ".eml")
	if err != nil {
		st.t.Fatal(err)
	}
	st.deliverText(a, mailbox, text)
}

func (st *stage) deliverText(a index.AccountID, mailbox string, text []byte) {
	in := st.store.NewIncoming(st.t.Context(), []index.AccountID{a}, nil)
	defer in.Discard()
	in.Write(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
	st.now = st.now.Add(time.Second)
	out, err := in.Deliver(st.t.Context(), mailstore.Delivery{Received: st.now, Targets: []mailstore.Target{
		{Account: a, Address: st.now.String(), Mailbox: mailbox}}})
	if err != nil || out[0].Err != nil {
		st.t.Fatal(err, out)
	}
}

// hear writes down what the sessions have said; those in IDLE may have something to tell.
func (st *stage) hear() {
	for _, name := range st.order {
		a := st.actors[name]
		a.poke()
		for line := range strings.Lines(a.said()) {
			fmt.Fprintf(&st.out, "S%s: %s\n", name, strings.ReplaceAll(strings.TrimSuffix(line, "\r\n"), "\x00", "\\0"))
		}
	}
}

// actor is a client with its session.
type actor struct {
	st     *stage
	in     chan []byte
	pokes  chan struct{}
	quiet  chan struct{} // the session waits for the client
	done   chan error
	ended  bool
	idle   bool
	secure bool
	small  bool // COMPRESS was answered
	unread []byte
	out    bytes.Buffer
}

func (st *stage) actor(name string, id *engine.Identity) *actor {
	if a := st.actors[name]; a != nil {
		return a
	}
	a := &actor{st: st, in: make(chan []byte), pokes: make(chan struct{}), quiet: make(chan struct{}), done: make(chan error, 1), secure: st.secure}
	st.actors[name] = a
	st.order = append(st.order, name)
	mail := imapd.Mailstore(st.store)
	session := st.engine.NewSession(engine.Peer{Conn: a, Login: a, Authenticated: id, Others: st.sharing.others(),
		Open:  func(_ context.Context, who engine.Identity) (engine.Account, error) { return mail(who.Account), nil },
		Leave: func() {}})
	go func() { a.done <- session.Run(context.Background()) }()
	a.settle()
	st.hear()
	return a
}

// settle waits until the session waits for the client, or ended.
func (a *actor) settle() {
	select {
	case <-a.quiet:
	case err := <-a.done:
		a.ended = true
		if err != nil && !errors.Is(err, io.EOF) {
			fmt.Fprintf(&a.out, "(ends: %v)\r\n", err)
		} else {
			fmt.Fprint(&a.out, "(ends)\r\n")
		}
	}
}

func (a *actor) say(line string) {
	if !a.ended {
		a.in <- []byte(line)
		a.settle()
	}
}

func (a *actor) poke() {
	if a.idle && !a.ended {
		a.pokes <- struct{}{}
		a.settle()
	}
}

func (a *actor) said() string {
	s := a.out.String()
	a.out.Reset()
	return s
}

func (a *actor) hangUp() {
	if !a.ended {
		close(a.in)
		<-a.done
	}
}

// Read implements engine.Conn.
func (a *actor) Read(p []byte) (int, error) {
	if len(a.unread) == 0 {
		a.quiet <- struct{}{}
		line, ok := <-a.in
		if !ok {
			return 0, io.EOF
		}
		a.unread = line
	}
	n := copy(p, a.unread)
	a.unread = a.unread[n:]
	return n, nil
}

func (a *actor) Write(p []byte) (int, error) { return a.out.Write(p) }

// Wait implements engine.Conn. That something changed is only looked at when poked, so that one
// session moves at a time.
func (a *actor) Wait(_ context.Context, changed <-chan struct{}) (bool, error) {
	if len(a.unread) > 0 {
		return true, nil
	}
	a.idle = true
	for {
		a.quiet <- struct{}{}
		select {
		case line, ok := <-a.in:
			a.idle = false
			if !ok {
				return false, io.EOF
			}
			a.unread = line
			return true, nil
		case <-a.pokes:
			select {
			case <-changed:
				a.idle = false
				return false, nil
			default:
			}
		}
	}
}

func (a *actor) Within(bool)                    {}
func (a *actor) Secure() bool                   { return a.secure }
func (a *actor) CanStartTLS() bool              { return !a.secure }
func (a *actor) Compress()                      { a.small = true } // the door's tests do
func (a *actor) Compressed() bool               { return a.small }
func (a *actor) StartTLS(context.Context) error { a.secure = true; return nil }

// Mechanisms implements engine.Login.
func (a *actor) Mechanisms() []string {
	if a.secure {
		return []string{"PLAIN"}
	}
	return nil
}

func (a *actor) Password() bool { return a.secure }

func (a *actor) Plain(_ context.Context, user, password string) (engine.Identity, error) {
	switch {
	case user == "busy":
		return engine.Identity{}, engine.ErrThrottled
	case password != "secret":
		return engine.Identity{}, engine.ErrBadCredentials
	case user == "off":
		return engine.Identity{}, engine.ErrDisabled
	}
	return engine.Identity{Account: 2, Address: user}, nil
}

func (a *actor) SASL(ctx context.Context, mechanism string) (engine.SASL, error) {
	if mechanism != "PLAIN" || !a.secure {
		return nil, engine.ErrNoMechanism
	}
	return &plain{a: a}, nil
}

type plain struct {
	a   *actor
	who engine.Identity
}

func (p *plain) Next(response []byte) ([]byte, bool, error) {
	if response == nil {
		return nil, false, nil
	}
	parts := strings.Split(string(response), "\x00")
	if len(parts) != 3 {
		return nil, false, errors.New("malformed")
	}
	var err error
	p.who, err = p.a.Plain(context.Background(), parts[1], parts[2])
	return nil, err == nil, err
}

func (p *plain) Identity() engine.Identity { return p.who }
