package load

import (
	"errors"
	"testing"
)

func TestSinkTreatsEachRecipientAsTheMixSays(t *testing.T) {
	mix := Mix{Never: 3, Later: 5, Cut: 2}
	s, err := StartSink("127.0.0.1:0", mix)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	door := Door{Address: s.Address()}
	var refused, greylisted, broken int
	for range 2 { // what failed for now is sent again
		for n := range 100 {
			if a := s.Tally(n+1).Taken - s.Tally(n).Taken; a > 0 {
				continue
			}
			c, err := DialSMTP(t.Context(), door, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Send("a@bench.test", []string{SinkRecipient(n)}, []byte("Subject: x\r\n\r\nbody\r\n"))
			c.Close()
			var refusal *Refusal
			switch {
			case errors.As(err, &refusal) && refusal.Code == 550:
				refused++
			case errors.As(err, &refusal) && refusal.Temporary():
				greylisted++
			case err != nil:
				broken++
			}
		}
	}
	if refused != 6 || greylisted != 5 || broken != 2 {
		t.Errorf("%d refused in two rounds, %d greylisted, %d cut", refused, greylisted, broken)
	}
	all, atOnce := mix.Expect(100)
	if all != 97 || atOnce != 90 {
		t.Errorf("expects %d, %d of them at once", all, atOnce)
	}
	if got := s.Tally(100); got.Taken != all || got.Doubled != 0 || got.Attempts != 110 {
		t.Errorf("tally %+v", got)
	}
}

func TestSinkKnowsWhatCameTwice(t *testing.T) {
	s, err := StartSink("127.0.0.1:0", Mix{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := DialSMTP(t.Context(), Door{Address: s.Address()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if _, err := c.Send("a@bench.test", []string{SinkRecipient(7)}, []byte("\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Tally(10); got.Taken != 1 || got.Doubled != 2 {
		t.Errorf("tally %+v", got)
	}
	if _, err := c.Send("a@bench.test", []string{"somebody@elsewhere.test"}, []byte("\r\n")); err == nil {
		t.Error("took mail for another domain")
	}
}

func TestSinkRefusesAMixThatIsNone(t *testing.T) {
	for _, mix := range []Mix{{Never: 60, Later: 60}, {Cut: -1}} {
		if s, err := StartSink("127.0.0.1:0", mix); err == nil {
			s.Close()
			t.Errorf("took %+v", mix)
		}
	}
}
