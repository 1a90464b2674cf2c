package dmarcreport_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/dmarcreport"
)

var update = flag.Bool("update", false, "write the golden files anew")

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile("testdata/"+name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := file(t, name); !bytes.Equal(got, want) {
		t.Errorf("not as testdata/%s has it:\n%s", name, got)
	}
}

func packed(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(data)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, name string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(data)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func mailed(kind, name string, data []byte) []byte {
	return []byte("From: a@big.example\r\nSubject: Report\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\n" +
		"Content-Type: " + kind + "\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(data) + "\r\n--b--\r\n")
}

// TestDecode: what reports of two kinds say, as the golden files have it.
func TestDecode(t *testing.T) {
	for _, name := range []string{"plain", "namespace"} {
		r, err := dmarcreport.Decode(file(t, name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", append(text, '\n'))
	}
}

// TestForms: a report is read in each form in which one comes.
func TestForms(t *testing.T) {
	text := file(t, "plain.xml")
	gz, z := packed(t, text), zipped(t, "big.example!example.org!1!2.xml", text)
	for name, data := range map[string][]byte{
		"XML": text, "gzip": gz, "zip": z,
		"mail with gzip":            mailed("application/gzip", "a.xml.gz", gz),
		"mail with zip":             mailed("application/x-zip-compressed", "a.zip", z),
		"mail with XML":             mailed("text/xml", "a.xml", text),
		"mail that calls it octets": mailed("application/octet-stream", "a.XML.GZ", gz),
		"mail that is zip": []byte("Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString(z)),
	} {
		r, err := dmarcreport.Read(data)
		if err != nil || r.ID != "11559573087513157018" || r.Total() != (dmarcreport.Sum{Messages: 55, Passed: 15}) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestRefused: what is no report, and bombs.
func TestRefused(t *testing.T) {
	good := string(file(t, "plain.xml"))
	zeros := make([]byte, 30<<20)
	bomb := packed(t, zeros)
	for name, data := range map[string][]byte{
		"nothing":             nil,
		"a mail":              []byte("Subject: x\r\n\r\nhello"),
		"another document":    []byte("<html></html>"),
		"cut":                 []byte(good[:len(good)/2]),
		"a document type":     []byte(strings.Replace(good, "<feedback>", `<!DOCTYPE feedback [<!ENTITY a "aaaa">]><feedback>`, 1)),
		"an entity":           []byte(strings.Replace(good, "big.example</org", "&a;</org", 1)),
		"no id":               []byte(strings.Replace(good, "11559573087513157018", "", 1)),
		"no domain":           []byte(strings.Replace(good, "Example.org", "", 1)),
		"a time that is none": []byte(strings.Replace(good, "1795132800", "yesterday", 1)),
		"an end before":       []byte(strings.Replace(good, "1795219199", "1", 1)),
		"a count below zero":  []byte(strings.Replace(good, "<count>12<", "<count>-1<", 1)),
		"a gzip bomb":         bomb,
		"a zip bomb":          zipped(t, "a.xml", zeros),
		"a bomb in a mail":    mailed("application/gzip", "a.gz", bomb),
		"gzip in gzip":        packed(t, packed(t, []byte(good))),
		"zip in zip":          zipped(t, "a.xml", zipped(t, "a.xml", []byte(good))),
		"a zip without XML":   zipped(t, "a.exe", []byte(good)),
		"many records":        packed(t, []byte("<feedback>"+strings.Repeat("<record><row><count>1</count></row></record>", 50_001)+"</feedback>")),
		"deep":                packed(t, []byte("<feedback>"+strings.Repeat("<a>", 1_000_000))),
		"large":               bytes.Repeat([]byte("<"), dmarcreport.MaxPacked+1),
		"UTF-16":              []byte(strings.Replace(good, "UTF-8", "UTF-16", 1)),
	} {
		if r, err := dmarcreport.Read(data); !errors.Is(err, dmarcreport.ErrNoReport) {
			t.Errorf("%s: %.100v, %v", name, r, err)
		}
	}
}

// TestBounds: rows above the bound are counted and not told, and what is kept of a report fits.
func TestBounds(t *testing.T) {
	var tally dmarcreport.Tally
	for i := range 1500 {
		tally.Count(dmarcreport.Row{Source: fmt.Sprintf("2001:db8::%x", i), Count: uint64(1 + i%3), SPF: "pass", From: strings.Repeat(fmt.Sprint(i*7919), 20)})
	}
	tally.Junk = 3
	want := tally.Total()
	if len(tally.Rows) != 1000 || want.Messages != 3000 || want.Passed != 3000 {
		t.Errorf("%d rows, %v", len(tally.Rows), want)
	}
	data, err := tally.Pack(8 << 10)
	if err != nil || len(data) > 8<<10 {
		t.Fatalf("%d octets, %v", len(data), err)
	}
	back, err := dmarcreport.UnpackTally(data)
	if err != nil || back.Total() != want || back.Junk != 3 || len(back.Rows) == 0 || len(back.Rows) >= 1000 || back.Rows[0].Count != 3 {
		t.Errorf("%d rows, %v, %v", len(back.Rows), back.Total(), err)
	}
	back.Merge(back)
	if got := back.Total(); got.Messages != 2*want.Messages || back.Junk != 6 {
		t.Errorf("%v", got)
	}
}

// TestRound: a report that is written is read as it was, and its mail is as the golden file has it.
func TestRound(t *testing.T) {
	r, err := dmarcreport.Decode(file(t, "plain.xml"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "encoded.xml", text)
	again, err := dmarcreport.Decode(text)
	if err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
		t.Errorf("%+v, %v", again, err)
	}
	mail := dmarcreport.Mail{From: "postmaster@example.net", To: "d@example.org", Submitter: "example.net", Domain: "example.org", ID: "2026-11-20.example.org@example.net",
		Begin: r.Begin, End: r.End, Packed: []byte(strings.Repeat("packed ", 20)), Date: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}
	golden(t, "mail.eml", mail.Message())
	mail.Packed, err = r.PackXML()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := dmarcreport.Read(mail.Message()); err != nil || fmt.Sprint(got) != fmt.Sprint(r) {
		t.Errorf("%+v, %v", got, err)
	}
}

// FuzzRead: whatever comes, the report is bounded, and what is kept of it can be written and read.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"plain.xml", "namespace.xml"} {
		f.Add(file(f, name))
		f.Add(packed(f, file(f, name)))
		f.Add(zipped(f, "a.xml", file(f, name)))
		f.Add(mailed("text/xml", "a.xml", file(f, name)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := dmarcreport.Read(data)
		if err != nil {
			if !errors.Is(err, dmarcreport.ErrNoReport) {
				t.Error(err)
			}
			return
		}
		if len(r.Rows) > 1000 || len(r.Organization) > 253 || strings.ContainsAny(r.Organization+r.ID+r.Policy.Domain, "\r\n\x00") {
			t.Errorf("%+v", r)
		}
		text, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dmarcreport.Decode(text); err != nil && r.Left == (dmarcreport.Sum{}) {
			t.Errorf("what was written is not read: %v\n%s", err, text)
		}
		if _, err := r.Pack(4 << 10); err != nil {
			t.Error(err)
		}
	})
}
