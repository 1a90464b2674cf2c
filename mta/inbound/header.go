package inbound

import (
	"bytes"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/index/message"
)

// maxAuthors bounds how many addresses of From fields are read.
const maxAuthors = 100

// AuthorOf reads the From fields of a header. What cannot be read as an address is none.
func AuthorOf(header []byte) Author {
	var a Author
	eachField(header, func(name, value []byte) {
		if !bytes.EqualFold(name, []byte("from")) {
			return
		}
		a.Fields++
		for _, x := range message.Addresses(unfolded(value)) {
			local, host := string(x.Mailbox), string(x.Host)
			if local == "" || host == "" || local == "MISSING_MAILBOX" || host == "MISSING_DOMAIN" || len(a.Addresses) >= maxAuthors {
				continue // the beginning or the end of a group, or what names nobody
			}
			a.Addresses = append(a.Addresses, address.Address{Local: local, Domain: strings.ToLower(host)}.String())
		}
	})
	return a
}

// ListOf is the list that a header says the message comes by: the id of the List-Id field (RFC 2919, section 2), in lower case.
func ListOf(header []byte) (id string) {
	eachField(header, func(name, value []byte) {
		if id != "" || !bytes.EqualFold(name, []byte("list-id")) {
			return
		}
		if from := bytes.LastIndexByte(value, '<'); from >= 0 {
			if to := bytes.IndexByte(value[from:], '>'); to > 0 {
				id = strings.ToLower(strings.Join(strings.Fields(string(value[from+1:from+to])), ""))
			}
		}
	})
	return id
}

// eachField calls fn with the fields of a header, folds and all.
func eachField(header []byte, fn func(name, value []byte)) {
	for len(header) > 0 {
		end := len(header)
		for at := 0; ; {
			next := bytes.IndexByte(header[at:], '\n')
			if next < 0 {
				break
			}
			at += next + 1
			if at == len(header) || header[at] != ' ' && header[at] != '\t' {
				end = at
				break
			}
		}
		name, value, ok := bytes.Cut(header[:end], []byte(":"))
		if ok {
			fn(bytes.TrimRight(name, " \t"), value)
		}
		header = header[end:]
	}
}

// unfolded is a value without its line ends.
func unfolded(value []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(value, []byte("\r"), nil), []byte("\n"), nil)
}
