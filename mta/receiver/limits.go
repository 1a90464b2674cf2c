package receiver

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Limits is how much a receiver is given at a time by one node.
type Limits struct {
	Connections int // at a time
	Messages    int // over one connection
	Rate        int // messages a minute; 0: no bound
}

// Default is for receivers that the table does not have.
func Default() Limits { return Limits{Connections: 20, Messages: 100} }

// Known is the table of large receivers by site. Two publish a figure: Yahoo takes 20 messages over a connection, and
// Microsoft's free mail asks for no more than 500 connections. The others are what they bear in practice, for one node.
func Known() Table {
	return Table{
		"google.com":            {20, 50, 0},
		"outlook.com":           {20, 50, 0},
		"yahoodns.net":          {10, 20, 0},
		"icloud.com":            {10, 50, 0},
		"gmx.net":               {5, 50, 0},
		"web.de":                {5, 50, 0},
		"mail.com":              {5, 50, 0},
		"kundenserver.de":       {5, 50, 0},
		"t-online.de":           {5, 50, 300},
		"orange.fr":             {2, 50, 120},
		"free.fr":               {2, 50, 120},
		"laposte.net":           {2, 50, 120},
		"sfr.fr":                {2, 50, 120},
		"libero.it":             {3, 20, 120},
		"comcast.net":           {8, 100, 0},
		"btinternet.com":        {5, 20, 0},
		"mail.ru":               {10, 50, 0},
		"yandex.ru":             {10, 20, 0},
		"qq.com":                {5, 20, 300},
		"netease.com":           {5, 20, 300},
		"pphosted.com":          {10, 50, 0},
		"mimecast.com":          {10, 50, 0},
		"barracudanetworks.com": {10, 50, 0},
		"messagingengine.com":   {10, 50, 0},
		"protonmail.ch":         {5, 50, 0},
		"zoho.com":              {5, 50, 0},
	}
}

// Table is limits by site, with * for all that it does not have.
type Table map[string]Limits

// Of gives the limits of a site.
func (t Table) Of(site string) Limits {
	if l, ok := t[site]; ok {
		return l
	}
	if l, ok := t["*"]; ok {
		return l
	}
	return Default()
}

// ParseTable reads limits as the setting receiver_limits has them: "site=connections/messages/rate" apart by spaces,
// with * for all that are not in it. What it does not have is as in Known.
func ParseTable(text string) (Table, error) {
	t := Known()
	for _, word := range strings.Fields(text) {
		site, figures, ok := strings.Cut(word, "=")
		parts := strings.Split(figures, "/")
		if !ok || site == "" || len(parts) != 3 {
			return nil, fmt.Errorf("%q is not site=connections/messages/rate", word)
		}
		var n [3]int
		for i, p := range parts {
			v, err := strconv.Atoi(p)
			if err != nil || v < 0 || v > 1_000_000 || v == 0 && i < 2 {
				return nil, fmt.Errorf("%q in %q is no number that is allowed", p, word)
			}
			n[i] = v
		}
		t[strings.ToLower(site)] = Limits{n[0], n[1], n[2]}
	}
	return t, nil
}

// Sites are those that are known, by name.
func Sites() []string { return slices.Sorted(maps.Keys(Known())) }
