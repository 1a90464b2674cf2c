package dmarcreport

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Tally counts messages by how they came, within bounds: what comes above is counted, but not told.
type Tally struct {
	Rows   []Row     `json:"rows"`
	Left   Sum       `json:"left"`   // of what has no row
	Policy Published `json:"policy"` // the latest that was found; of our own counts only
	Junk   uint64    `json:"junk"`   // messages that were put to Junk or refused; of our own counts only

	at map[string]int // where the row of a key is
}

// Count counts the messages of a row.
func (t *Tally) Count(row Row) {
	if t.at == nil {
		t.at = make(map[string]int, len(t.Rows))
		for i := range t.Rows {
			t.at[t.Rows[i].key()] = i
		}
	}
	key := row.key()
	if i, ok := t.at[key]; ok {
		t.Rows[i].Count += row.Count
		return
	}
	if len(t.Rows) == maxRows {
		t.Left = t.Left.plus(row.sum())
		return
	}
	t.at[key] = len(t.Rows)
	t.Rows = append(t.Rows, row)
}

// CountOnly counts the messages of a row without telling them.
func (t *Tally) CountOnly(row Row) { t.Left = t.Left.plus(row.sum()) }

// Merge counts what somebody else counted.
func (t *Tally) Merge(o Tally) {
	for _, row := range o.Rows {
		t.Count(row)
	}
	t.Left, t.Junk = t.Left.plus(o.Left), t.Junk+o.Junk
	if o.Policy.Domain != "" {
		t.Policy = o.Policy
	}
}

// Total counts all messages.
func (t Tally) Total() Sum { return Report{Rows: t.Rows, Left: t.Left}.Total() }

// key tells rows apart: all but the count.
func (r Row) key() string {
	var b strings.Builder
	add := func(texts ...string) {
		for _, s := range texts {
			b.WriteString(s)
			b.WriteByte(0)
		}
		b.WriteByte(1)
	}
	add(r.Source, r.Disposition, r.DKIM, r.SPF, r.From, r.EnvelopeFrom, r.EnvelopeTo)
	for _, c := range r.Reasons {
		add(c.Type, c.Comment)
	}
	for _, list := range [][]Check{r.Signatures, r.Senders} {
		for _, c := range list {
			add(c.Domain, c.Name, c.Result)
		}
		b.WriteByte(2)
	}
	return b.String()
}

// sorted are the rows, those of the most messages first, and alike ones in one order everywhere.
func (t Tally) sorted() []Row {
	rows := slices.Clone(t.Rows)
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.key(), b.key())) })
	return rows
}

// Report gives the counts as a report; the caller fills the rest.
func (t Tally) Report() Report { return Report{Policy: t.Policy, Rows: t.sorted(), Left: t.Left} }

// Pack gives the counts as they are kept, in at most a number of octets: rows of few messages lose their details, from the end.
func (t Tally) Pack(most int) ([]byte, error) {
	t.Rows = t.sorted()
	for {
		data, err := packJSON(t)
		if err != nil || len(data) <= most || len(t.Rows) == 0 {
			return data, err
		}
		t.Rows, t.Left = halve(t.Rows, t.Left)
	}
}

// halve counts the second half of some rows without telling them.
func halve(rows []Row, left Sum) ([]Row, Sum) {
	n := len(rows) / 2
	for _, row := range rows[n:] {
		left = left.plus(row.sum())
	}
	return rows[:n], left
}

// UnpackTally reads what Pack gave.
func UnpackTally(data []byte) (t Tally, err error) { return t, unpackJSON(data, &t) }

// Pack gives a report as it is kept, in at most a number of octets, as a Tally is.
func (r Report) Pack(most int) ([]byte, error) {
	for {
		data, err := packJSON(r)
		if err != nil || len(data) <= most || len(r.Rows) == 0 {
			return data, err
		}
		r.Rows, r.Left = halve(r.Rows, r.Left)
	}
}

// Unpack reads what Pack gave.
func Unpack(data []byte) (r Report, err error) { return r, unpackJSON(data, &r) }

func packJSON(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("keep counts of DMARC: %w", err)
	}
	return compress(text)
}

func compress(text []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text) // into memory
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress a DMARC report: %w", err)
	}
	return b.Bytes(), nil
}

func unpackJSON(data []byte, into any) error {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(z, MaxReport)).Decode(into)
	}
	if err != nil {
		return fmt.Errorf("read counts of DMARC: %w", err)
	}
	return nil
}
