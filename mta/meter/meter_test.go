package meter

import (
	"strconv"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// TestTake: no more than the limit within any time, whenever the interval ends, and who waits as told gets through.
func TestTake(t *testing.T) {
	l := Limit{Count: 10, Per: time.Minute}
	m := New()
	at := start.Add(50 * time.Second)
	for i := range 10 {
		if ok, _ := m.Take("a", 1, l, at); !ok {
			t.Fatalf("%d was too many", i+1)
		}
	}
	ok, retry := m.Take("a", 1, l, at)
	if ok || retry <= 0 || retry > 2*time.Minute {
		t.Fatalf("an eleventh: %v, %v", ok, retry)
	}
	if ok, _ := m.Take("b", 1, l, at); !ok {
		t.Error("another key is counted with it")
	}
	if ok, _ := m.Take("a", 1, l, start.Add(61*time.Second)); ok {
		t.Error("the next interval begins anew at once")
	}
	if ok, _ := m.Take("a", 1, l, at.Add(retry)); !ok {
		t.Error("who waited as told is refused")
	}
	if ok, _ := m.Take("a", 10, l, at.Add(3*time.Minute)); !ok {
		t.Error("what is over counts")
	}
	if ok, retry := m.Take("a", 11, l, at.Add(9*time.Minute)); ok || retry <= 0 {
		t.Errorf("more than the limit at once: %v, %v", ok, retry)
	}
	if ok, _ := m.Take("a", 1000, Limit{Per: time.Minute}, at); !ok {
		t.Error("no limit is one")
	}
}

// TestSteady: who comes evenly below the rate is let in always, and at twice the rate about half of the times.
func TestSteady(t *testing.T) {
	l := Limit{Count: 60, Per: time.Hour}
	for pause, want := range map[time.Duration][2]int{62 * time.Second: {600, 600}, 30 * time.Second: {290, 320}} {
		m, taken := New(), 0
		for i := range 600 {
			if ok, _ := m.Take("a", 1, l, start.Add(time.Duration(i)*pause)); ok {
				taken++
			}
		}
		if taken < want[0] || taken > want[1] {
			t.Errorf("every %v: %d of 600", pause, taken)
		}
	}
}

// TestRetry: after the time that is told there is room, whatever came when.
func TestRetry(t *testing.T) {
	l := Limit{Count: 7, Per: time.Minute}
	for seed := range 60 {
		m, now := New(), start
		for i := range 40 {
			now = now.Add(time.Duration((seed*7+i*i)%11) * time.Second)
			if ok, retry := m.Take("a", 1+(i+seed)%3, l, now); !ok {
				now = now.Add(retry)
				if ok, more := m.Take("a", 1+(i+seed)%3, l, now); !ok {
					t.Fatalf("seed %d, step %d: told to wait %v, then %v", seed, i, retry, more)
				}
			}
		}
	}
}

// TestBounded: a flood of keys takes no more room, and leaves alone who comes again and again.
func TestBounded(t *testing.T) {
	m := New()
	l := Limit{Count: 2, Per: time.Hour}
	for i := range maxKeys + maxKeys/4 {
		m.Take(strconv.Itoa(i), 1, l, start)
		if i%1000 == 0 {
			m.Take("often", 1, l, start)
		}
	}
	if n := len(m.young) + len(m.old); n > maxKeys {
		t.Errorf("%d keys", n)
	}
	if ok, _ := m.Take("often", 1, l, start); ok {
		t.Error("a flood made room for who has had his")
	}
}
