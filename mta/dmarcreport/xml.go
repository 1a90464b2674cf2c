package dmarcreport

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ErrNoReport says that something is no report, or none that can be read.
var ErrNoReport = errors.New("no DMARC report")

// The elements of a report (RFC 7489, appendix C).
type (
	xmlFeedback struct {
		XMLName xml.Name     `xml:"feedback"`
		Version string       `xml:"version"`
		Meta    xmlMeta      `xml:"report_metadata"`
		Policy  xmlPublished `xml:"policy_published"`
		Records []xmlRecord  `xml:"record"`
	}
	xmlMeta struct {
		Organization string   `xml:"org_name"`
		Email        string   `xml:"email"`
		Extra        string   `xml:"extra_contact_info,omitempty"`
		ID           string   `xml:"report_id"`
		Begin        string   `xml:"date_range>begin"`
		End          string   `xml:"date_range>end"`
		Errors       []string `xml:"error,omitempty"`
	}
	xmlPublished struct {
		Domain     string `xml:"domain"`
		DKIM       string `xml:"adkim,omitempty"`
		SPF        string `xml:"aspf,omitempty"`
		Policy     string `xml:"p"`
		Subdomains string `xml:"sp,omitempty"`
		Missing    string `xml:"np,omitempty"`
		Percent    string `xml:"pct,omitempty"`
		Testing    string `xml:"testing,omitempty"`
	}
	xmlRecord struct {
		Source      string      `xml:"row>source_ip"`
		Count       string      `xml:"row>count"`
		Disposition string      `xml:"row>policy_evaluated>disposition"`
		DKIM        string      `xml:"row>policy_evaluated>dkim"`
		SPF         string      `xml:"row>policy_evaluated>spf"`
		Reasons     []xmlReason `xml:"row>policy_evaluated>reason"`

		To           string `xml:"identifiers>envelope_to,omitempty"`
		EnvelopeFrom string `xml:"identifiers>envelope_from"`
		From         string `xml:"identifiers>header_from"`

		Signatures []xmlSignature `xml:"auth_results>dkim"`
		Senders    []xmlSender    `xml:"auth_results>spf"`
	}
	xmlReason struct {
		Type    string `xml:"type"`
		Comment string `xml:"comment,omitempty"`
	}
	xmlSignature struct {
		Domain   string `xml:"domain"`
		Selector string `xml:"selector,omitempty"`
		Result   string `xml:"result"`
	}
	xmlSender struct {
		Domain string `xml:"domain"`
		Scope  string `xml:"scope,omitempty"`
		Result string `xml:"result"`
	}
)

// maxRecords is how many records of a report are read.
const maxRecords = 50_000

// Decode reads a report as XML. Document types are refused, and with them entities; texts are cut and made fit for a line. Errors
// are ErrNoReport.
func Decode(data []byte) (Report, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = charset
	var r reading
	if err := r.document(d); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	return r.report()
}

// charset reads texts of one octet a character as if they were of Latin 1; nothing but names in other words is lost by that.
func charset(name string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf-8", "us-ascii", "ascii":
		return input, nil
	case "iso-8859-1", "iso-8859-15", "windows-1252", "latin1":
		data, err := io.ReadAll(input)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		for _, c := range data {
			b.WriteRune(rune(c))
		}
		return &b, nil
	}
	return nil, fmt.Errorf("characters of %.30q", name)
}

// reading is a report that is being read.
type reading struct {
	meta   xmlMeta
	policy xmlPublished
	tally  Tally
	seen   int // records
}

func (r *reading) document(d *xml.Decoder) error {
	depth := 0
	for {
		token, err := d.Token()
		if err == io.EOF && depth == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.Directive:
			return errors.New("a document type")
		case xml.EndElement:
			depth--
		case xml.StartElement:
			if depth == 0 && t.Name.Local != "feedback" {
				return fmt.Errorf("its element is %.30q", t.Name.Local)
			}
			if depth == 0 {
				depth++
				continue
			}
			if err := r.element(d, t); err != nil {
				return err
			}
		}
	}
}

// element reads one below feedback.
func (r *reading) element(d *xml.Decoder, t xml.StartElement) error {
	switch t.Name.Local {
	case "report_metadata":
		return d.DecodeElement(&r.meta, &t)
	case "policy_published":
		return d.DecodeElement(&r.policy, &t)
	case "record":
		if r.seen++; r.seen > maxRecords {
			return fmt.Errorf("more than %d records", maxRecords)
		}
		var x xmlRecord
		if err := d.DecodeElement(&x, &t); err != nil {
			return err
		}
		return r.tally.add(x)
	}
	return d.Skip()
}

func (t *Tally) add(x xmlRecord) error {
	count, err := strconv.ParseUint(strings.TrimSpace(x.Count), 10, 48)
	if err != nil {
		return fmt.Errorf("count %.20q", x.Count)
	}
	row := Row{Source: line(x.Source), Count: count, Disposition: word(x.Disposition, "none", "quarantine", "reject"), DKIM: word(x.DKIM, "fail", "pass"), SPF: word(x.SPF, "fail", "pass"),
		From: domain(x.From), EnvelopeFrom: domain(x.EnvelopeFrom), EnvelopeTo: domain(x.To)}
	for _, c := range x.Reasons[:min(len(x.Reasons), maxReasons)] {
		row.Reasons = append(row.Reasons, Reason{line(c.Type), line(c.Comment)})
	}
	for _, c := range x.Signatures[:min(len(x.Signatures), maxChecks)] {
		row.Signatures = append(row.Signatures, Check{domain(c.Domain), line(c.Selector), line(c.Result)})
	}
	for _, c := range x.Senders[:min(len(x.Senders), maxChecks)] {
		row.Senders = append(row.Senders, Check{domain(c.Domain), line(c.Scope), line(c.Result)})
	}
	t.Count(row)
	return nil
}

func (r *reading) report() (Report, error) {
	begin, err := strconv.ParseInt(strings.TrimSpace(r.meta.Begin), 10, 40)
	end, err2 := strconv.ParseInt(strings.TrimSpace(r.meta.End), 10, 40)
	out := Report{Organization: line(r.meta.Organization), Contact: line(r.meta.Email), ID: line(r.meta.ID), Begin: time.Unix(begin, 0).UTC(), End: time.Unix(end, 0).UTC(),
		Policy: Published{domain(r.policy.Domain), line(r.policy.Policy), line(r.policy.Subdomains), line(r.policy.Missing), line(r.policy.DKIM), line(r.policy.SPF),
			line(r.policy.Percent), line(r.policy.Testing)}}
	if err != nil || err2 != nil || out.ID == "" || out.Policy.Domain == "" || begin < 0 || end < begin {
		return Report{}, fmt.Errorf("%w: it has no report_id, no date_range or no domain", ErrNoReport)
	}
	for _, e := range r.meta.Errors[:min(len(r.meta.Errors), maxErrors)] {
		out.Errors = append(out.Errors, line(e))
	}
	out.Rows, out.Left = r.tally.sorted(), r.tally.Left
	return out, nil
}

// Encode gives a report as XML.
func (r Report) Encode() ([]byte, error) {
	x := xmlFeedback{Version: "1.0", Meta: xmlMeta{Organization: r.Organization, Email: r.Contact, ID: r.ID, Begin: unix(r.Begin), End: unix(r.End), Errors: r.Errors},
		Policy: xmlPublished{Domain: r.Policy.Domain, DKIM: r.Policy.DKIM, SPF: r.Policy.SPF, Policy: r.Policy.Policy, Subdomains: r.Policy.Subdomains,
			Missing: r.Policy.Missing, Percent: r.Policy.Percent, Testing: r.Policy.Testing}}
	for _, row := range r.Rows {
		rec := xmlRecord{Source: row.Source, Count: strconv.FormatUint(row.Count, 10), Disposition: row.Disposition, DKIM: row.DKIM, SPF: row.SPF,
			To: row.EnvelopeTo, EnvelopeFrom: row.EnvelopeFrom, From: row.From}
		for _, c := range row.Reasons {
			rec.Reasons = append(rec.Reasons, xmlReason(c))
		}
		for _, c := range row.Signatures {
			rec.Signatures = append(rec.Signatures, xmlSignature{c.Domain, c.Name, c.Result})
		}
		for _, c := range row.Senders {
			rec.Senders = append(rec.Senders, xmlSender{c.Domain, c.Name, c.Result})
		}
		x.Records = append(x.Records, rec)
	}
	text, err := xml.MarshalIndent(x, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode a DMARC report: %w", err)
	}
	return append([]byte(xml.Header), append(text, '\n')...), nil
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
