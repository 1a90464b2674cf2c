package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a filter that says what its name in answers stands for.
type fake struct {
	name    string
	answers map[string]func(context.Context, *filter.Message) (filter.Report, error)
}

func (f fake) Check(ctx context.Context, m *filter.Message) (filter.Report, error) {
	return f.answers[f.name](ctx, m)
}

type answer = func(context.Context, *filter.Message) (filter.Report, error)

func says(r filter.Report) answer {
	return func(context.Context, *filter.Message) (filter.Report, error) { return r, nil }
}

// world is a chain of fakes, with a clock that is set.
type world struct {
	*Chain
	mu  sync.Mutex
	now time.Time
}

func chainOf(t *testing.T, answers map[string]answer, settings ...filter.Setting) *world {
	t.Helper()
	w := &world{now: time.Unix(1e9, 0)}
	w.Chain = New(Config{Logger: slog.New(slog.DiscardHandler), Clock: func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	}, Open: func(s filter.Setting) Checker { return fake{s.Name, answers} }})
	for i := range settings {
		settings[i].Kind, settings[i].Address = filter.Milter, "127.0.0.1:1"
	}
	w.Set(settings)
	return w
}

func results(out filter.Outcome) string {
	var list []string
	for _, r := range out.Results {
		text := r.Name + " " + r.Findings[0].Result
		if r.Refuse != nil {
			text += " " + r.Refuse.Error()
		}
		if r.Failed != "" {
			text += " closed"
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

func TestEachSeesWhatIsLeft(t *testing.T) {
	from := "new@example.org"
	var seen string
	w := chainOf(t, map[string]answer{
		"first": says(filter.Report{Word: filter.Pass, Edits: filter.Edits{Changes: []filter.Change{{Verb: filter.Insert, Name: "X-First", Value: "1"}}, Body: []byte("other\r\n"),
			From: &from, Removed: []string{"cid@example.net"}, Added: []string{"dan@example.net", "bob@example.net"}}}),
		"second": func(_ context.Context, m *filter.Message) (filter.Report, error) {
			p, err := io.ReadAll(io.NewSectionReader(m.Text, 0, m.Size))
			seen = fmt.Sprint(m.Envelope.From, m.Recipients, m.Size-m.HeaderSize, strings.HasPrefix(string(p), "X-First: 1\r\nFrom:"), strings.HasSuffix(string(p), "\r\n\r\nother\r\n"))
			return filter.Report{Word: filter.Spam, Edits: filter.Edits{Recipients: []filter.Refused{{Recipient: "bob@example.net", Reply: mta.Replyf(550, mta.BadMailbox, "no")}}}}, err
		},
		"paused": says(filter.Report{Word: filter.Refuse}),
	}, filter.Setting{Name: "second", Order: 2}, filter.Setting{Name: "paused", Paused: true}, filter.Setting{Name: "first", Order: 1})
	m := filtertest.Message(filtertest.Letter)
	out := w.Run(t.Context(), *m)
	if want := "ada@example.org[bob@example.net] 7 true true"; seen != want {
		t.Errorf("the second saw %s, want %s", seen, want)
	}
	if got := results(out); got != "milter:first pass; milter:second spam" || !out.Changed || fmt.Sprint(out.Removed, len(out.Refused)) != "[cid@example.net] 1" {
		t.Errorf("got %s, %+v", got, out)
	}
	for to, want := range map[string]string{"bob@example.net": "recipient-refused 550 5.1.1 no", "cid@example.net": "recipient-removed", "dan@example.net": ""} {
		got := strings.TrimPrefix(results(filter.Outcome{Results: out.For(to)[2:]}), "milter:second ")
		if got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
	if strings.Join(m.Recipients, " ") != "bob@example.net cid@example.net" {
		t.Errorf("the list of who asks was changed: %v", m.Recipients)
	}
}

func TestWhereItEnds(t *testing.T) {
	answers := map[string]answer{
		"a-refuses": says(filter.Report{Word: filter.Refuse}), "a-spam": says(filter.Report{Word: filter.Refuse, Looks: true}), "z": says(filter.Report{Word: filter.Pass}),
		"a-dead": func(context.Context, *filter.Message) (filter.Report, error) {
			return filter.Report{}, errors.New("gone")
		},
		"a-hangs": func(ctx context.Context, _ *filter.Message) (filter.Report, error) {
			<-ctx.Done()
			return filter.Report{}, ctx.Err()
		},
		"a-odd": says(filter.Report{Word: filter.Pass, Edits: filter.Edits{Body: []byte("x"), Changes: []filter.Change{{Verb: filter.Add, Name: "X Y"}}}}),
	}
	for _, c := range []struct {
		setting filter.Setting
		want    string
	}{
		{filter.Setting{Name: "a-refuses"}, "milter:a-refuses refuse 550 5.7.1 the filter a-refuses refuses the message"},
		{filter.Setting{Name: "a-spam"}, "milter:a-spam refuse 550 5.7.1 the filter a-spam refuses the message; milter:z pass"},
		{filter.Setting{Name: "a-dead"}, "milter:a-dead error; milter:z pass"},
		{filter.Setting{Name: "a-dead", Closed: true}, "milter:a-dead error closed"},
		{filter.Setting{Name: "a-hangs", Timeout: 100 * time.Millisecond}, "milter:a-hangs error; milter:z pass"},
		{filter.Setting{Name: "a-hangs", Timeout: 100 * time.Millisecond, Closed: true}, "milter:a-hangs error closed"},
		{filter.Setting{Name: "a-odd"}, "milter:a-odd pass; milter:z pass"},
		{filter.Setting{Name: "a-odd", Most: 1 << 10}, "milter:a-odd skip; milter:z pass"},
		{filter.Setting{Name: "a-odd", Most: 1 << 10, Over: filter.OverHead}, "milter:a-odd error; milter:z pass"},
		{filter.Setting{Name: "a-odd", Timeout: 1}, "milter:a-odd error; milter:z pass"}, // a setting that is not good
		{filter.Setting{Name: "a-odd", Timeout: 1, Closed: true}, "milter:a-odd error closed"},
	} {
		w := chainOf(t, answers, c.setting, filter.Setting{Name: "z"})
		if got := results(w.Run(t.Context(), *filtertest.Message(filtertest.Letter + strings.Repeat("more\n", 1000)))); got != c.want {
			t.Errorf("%+v: %s, want %s", c.setting, got, c.want)
		}
	}
}

func TestDeadFiltersAreLeftAlone(t *testing.T) {
	asked, dead := 0, true
	w := chainOf(t, map[string]answer{"x": func(context.Context, *filter.Message) (filter.Report, error) {
		if asked++; dead {
			return filter.Report{}, errors.New("gone")
		}
		return filter.Report{Word: filter.Pass}, nil
	}}, filter.Setting{Name: "x"})
	ask := func(times int) {
		for range times {
			w.Run(t.Context(), *filtertest.Message(filtertest.Letter))
		}
	}
	later := func() {
		w.mu.Lock()
		w.now = w.now.Add(restFor)
		w.mu.Unlock()
	}
	if ask(restAfter + 10); asked != restAfter || w.Stats()[0].Answering {
		t.Errorf("asked %d times", asked)
	}
	if later(); true {
		ask(5)
	}
	if asked != restAfter+1 {
		t.Errorf("asked %d times after a rest", asked)
	}
	later()
	dead = false
	ask(5)
	if s := w.Stats()[0]; asked != restAfter+6 || !s.Answering || s.Failed != restAfter+1 || s.Last != "gone" {
		t.Errorf("asked %d times once it answers: %+v", asked, s)
	}
	w.Set([]filter.Setting{{Name: "x", Kind: filter.Milter, Address: "127.0.0.1:1"}})
	if w.Stats()[0].Asked == 0 {
		t.Error("a filter that stays as it is was forgotten")
	}
	w.Set([]filter.Setting{{Name: "x", Kind: filter.Milter, Address: "127.0.0.1:2"}})
	if w.Stats()[0].Asked != 0 {
		t.Error("a filter that is another now was not forgotten")
	}
}

func TestWhoAsksGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := chainOf(t, map[string]answer{"x": func(ctx context.Context, _ *filter.Message) (filter.Report, error) {
		cancel()
		<-ctx.Done()
		return filter.Report{}, ctx.Err()
	}}, filter.Setting{Name: "x", Closed: true, AtOnce: 1})
	if got := results(w.Run(ctx, *filtertest.Message(filtertest.Letter))); got != "milter:x error closed" || w.Stats()[0].Failed != 0 {
		t.Errorf("got %s, %+v", got, w.Stats())
	}
}

func TestTurns(t *testing.T) {
	inside, most := 0, 0
	var mu sync.Mutex
	gate := make(chan struct{})
	w := chainOf(t, map[string]answer{"x": func(context.Context, *filter.Message) (filter.Report, error) {
		mu.Lock()
		inside++
		most = max(most, inside)
		mu.Unlock()
		<-gate
		mu.Lock()
		inside--
		mu.Unlock()
		return filter.Report{Word: filter.Pass}, nil
	}}, filter.Setting{Name: "x", AtOnce: 2})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { w.Run(t.Context(), *filtertest.Message(filtertest.Letter)) })
	}
	for range 8 {
		gate <- struct{}{}
	}
	all.Wait()
	if most > 2 || w.Stats()[0].Asked != 8 {
		t.Errorf("%d at once, %+v", most, w.Stats())
	}
}

func TestOpen(t *testing.T) {
	addr := filtertest.Serve(t, func(c net.Conn) {})
	c := New(Config{Logger: slog.New(slog.DiscardHandler), Clock: time.Now})
	var list []filter.Setting
	for _, kind := range []filter.Kind{filter.Milter, filter.Rspamd, filter.Spamd, filter.Clamd} {
		list = append(list, filter.Setting{Name: string(kind), Kind: kind, Address: addr})
	}
	c.Set(list)
	out := c.Run(t.Context(), *filtertest.Message(filtertest.Letter))
	if got := results(out); got != "clamd:clamd error; milter:milter error; rspamd:rspamd error; spamd:spamd error" {
		t.Error(got)
	}
}

// TestTimeIsLeft: who asks has time to go on after filters that hang.
func TestTimeIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context, _ *filter.Message) (filter.Report, error) {
			<-ctx.Done()
			return filter.Report{}, ctx.Err()
		}
		w := chainOf(t, map[string]answer{"a": hang, "b": hang, "c": hang}, filter.Setting{Name: "a"}, filter.Setting{Name: "b"}, filter.Setting{Name: "c"})
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		began := time.Now()
		got := results(w.Run(ctx, *filtertest.Message(filtertest.Letter)))
		if took := time.Since(began); got != "milter:a error; milter:b error; milter:c error" || ctx.Err() != nil || took != 37*time.Second {
			t.Errorf("%s after %v, %v", got, took, ctx.Err())
		}
		if s := w.Stats(); s[0].Failed != 1 || s[1].Failed != 1 || s[2].Failed != 0 { // the last had less than its time
			t.Errorf("counted %+v", s)
		}
	})
}
