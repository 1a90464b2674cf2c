package wire

import "github.com/rookery-mail/rookery/index/indexpb"

// maxStructureDepth bounds the recursion; the parser of messages stops at 100.
const maxStructureDepth = 256

// BodyStructure writes a BODY, or with extended a BODYSTRUCTURE (RFC 9051, section 7.5.2).
func (w *Writer) BodyStructure(p *indexpb.Part, extended bool) { w.part(p, extended, 0) }

func (w *Writer) part(p *indexpb.Part, extended bool, depth int) {
	if p == nil || depth > maxStructureDepth {
		p = &indexpb.Part{Type: []byte("application"), Subtype: []byte("octet-stream")}
	}
	w.Byte('(')
	if isType(p, "multipart") && len(p.Children) > 0 {
		w.multipart(p, extended, depth)
	} else {
		w.leaf(p, extended, depth)
	}
	w.Byte(')')
}

func isType(p *indexpb.Part, t string) bool { return string(p.Type) == t }

// multipart writes body-type-mpart.
func (w *Writer) multipart(p *indexpb.Part, extended bool, depth int) {
	for _, c := range p.Children {
		w.part(c, extended, depth+1)
	}
	w.Byte(' ')
	w.String(p.Subtype)
	if !extended {
		return
	}
	w.Byte(' ')
	w.params(p.Params)
	w.extension(p)
}

// leaf writes body-type-1part. A multipart without parts is not one on the wire, since its grammar
// needs at least one part.
func (w *Writer) leaf(p *indexpb.Part, extended bool, depth int) {
	message := isMessage(p) && len(p.Children) == 1
	switch {
	case isType(p, "multipart"), isMessage(p) && !message:
		w.Raw(`"application" "octet-stream"`)
	default:
		w.typeString(p.Type, "text")
		w.Byte(' ')
		w.typeString(p.Subtype, "plain")
	}
	w.Byte(' ')
	w.params(p.Params)
	w.Byte(' ')
	w.NString(p.Id)
	w.Byte(' ')
	w.NString(p.Description)
	w.Byte(' ')
	if len(p.Encoding) == 0 {
		w.Raw(`"7bit"`)
	} else {
		w.String(p.Encoding)
	}
	w.Byte(' ')
	w.Num(p.BodyLength)
	switch {
	case message:
		w.Byte(' ')
		w.Envelope(p.Envelope)
		w.Byte(' ')
		w.part(p.Children[0], extended, depth+1)
		w.Byte(' ')
		w.Num(p.Lines)
	case isType(p, "text"), len(p.Type) == 0:
		w.Byte(' ')
		w.Num(p.Lines)
	}
	if extended {
		w.Byte(' ')
		w.NString(p.Md5)
		w.extension(p)
	}
}

// isMessage reports whether p is a message/rfc822 or message/global (RFC 9051, section 7.5.2).
func isMessage(p *indexpb.Part) bool {
	return isType(p, "message") && (string(p.Subtype) == "rfc822" || string(p.Subtype) == "global")
}

func (w *Writer) typeString(b []byte, absent string) {
	if len(b) == 0 {
		w.Byte('"')
		w.Raw(absent)
		w.Byte('"')
		return
	}
	w.String(b)
}

func (w *Writer) params(list []*indexpb.Param) {
	if len(list) == 0 {
		w.Raw("NIL")
		return
	}
	w.Byte('(')
	for i, p := range list {
		if i > 0 {
			w.Byte(' ')
		}
		w.String(p.Name)
		w.Byte(' ')
		w.String(p.Value)
	}
	w.Byte(')')
}

// extension writes disposition, language and location.
func (w *Writer) extension(p *indexpb.Part) {
	if len(p.Disposition) == 0 {
		w.Raw(" NIL")
	} else {
		w.Raw(" (")
		w.String(p.Disposition)
		w.Byte(' ')
		w.params(p.DispositionParams)
		w.Byte(')')
	}
	switch len(p.Language) {
	case 0:
		w.Raw(" NIL")
	case 1:
		w.Byte(' ')
		w.String(p.Language[0])
	default:
		w.Raw(" (")
		for i, l := range p.Language {
			if i > 0 {
				w.Byte(' ')
			}
			w.String(l)
		}
		w.Byte(')')
	}
	w.Byte(' ')
	w.NString(p.Location)
}
