package sieve

import "slices"

// Extensions gives the names that require takes, sorted, as ManageSieve lists them (RFC 5804, section 1.7).
func Extensions() []string {
	list := []string{
		"body", "comparator-i;ascii-casemap", "comparator-i;ascii-numeric", "comparator-i;octet", "copy", "date", "duplicate", "editheader",
		"enclose", "encoded-character", "enotify", "envelope", "envelope-deliverby", "envelope-dsn", "environment", "ereject", "extracttext",
		"fcc", "fileinto", "foreverypart", "ihave", "imap4flags", "include", "index", "mailbox", "mailboxid", "mime", "redirect-deliverby",
		"redirect-dsn", "regex", "reject", "relational", "replace", "spamtest", "spamtestplus", "special-use", "subaddress", "vacation",
		"vacation-seconds", "variables", "virustest",
	}
	slices.Sort(list)
	return list
}

// NotifyMethods gives the schemes of the URIs that notify takes, as ManageSieve lists them.
func NotifyMethods() []string { return []string{"mailto"} }

// MaxRedirects gives what a script may redirect at most, as ManageSieve tells it.
func (l Limits) MaxRedirects() int { return l.withDefaults().Redirects }

// commandSpec says what a command is; a zero spec where it is none.
func commandSpec(name string) spec {
	switch name {
	case "stop":
		return spec{action: (*compiler).stop}
	case "keep":
		return spec{tags: []tag{{":flags", 'l', "imap4flags", ""}}, action: (*compiler).keep}
	case "discard":
		return spec{action: (*compiler).discard}
	case "fileinto":
		return spec{ext: []string{"fileinto"}, args: []string{"s"}, action: (*compiler).fileinto,
			tags: append(filingTags(), tag{":copy", 0, "copy", ""})}
	case "redirect":
		return spec{args: []string{"s"}, action: (*compiler).redirect, tags: []tag{
			{":copy", 0, "copy", ""}, {":notify", 's', "redirect-dsn", ""}, {":ret", 's', "redirect-dsn", ""},
			{":bytimerelative", 'n', "redirect-deliverby", "by"}, {":bytimeabsolute", 's', "redirect-deliverby", "by"},
			{":bymode", 's', "redirect-deliverby", ""}, {":bytrace", 0, "redirect-deliverby", ""}}}
	case "reject":
		return spec{ext: []string{"reject"}, args: []string{"s"}, action: (*compiler).reject}
	case "ereject":
		return spec{ext: []string{"ereject"}, args: []string{"s"}, action: (*compiler).reject}
	case "set":
		return spec{ext: []string{"variables"}, tags: modifierTags(), args: []string{"ss"}, action: (*compiler).set}
	case "setflag", "addflag", "removeflag":
		return spec{ext: []string{"imap4flags"}, args: []string{"l", "sl"}, action: (*compiler).changeFlags}
	case "vacation":
		return vacationSpec()
	case "notify":
		return notifySpec()
	case "addheader":
		return spec{ext: []string{"editheader"}, tags: []tag{{":last", 0, "", ""}}, args: []string{"ss"}, action: (*compiler).addHeader}
	case "deleteheader":
		return spec{ext: []string{"editheader"}, args: []string{"s", "sl"}, action: (*compiler).deleteHeader,
			tags: matchTags(tag{":index", 'n', "", ""}, tag{":last", 0, "", ""})}
	}
	return moreCommandSpec(name)
}

// moreCommandSpec is commandSpec for what is not about where mail goes.
func moreCommandSpec(name string) spec {
	switch name {
	case "include":
		return spec{ext: []string{"include"}, args: []string{"s"}, action: (*compiler).include, tags: []tag{{":personal", 0, "", "location"},
			{":global", 0, "", "location"}, {":once", 0, "", ""}, {":optional", 0, "", ""}}}
	case "return":
		return spec{ext: []string{"include"}, action: (*compiler).ret}
	case "global":
		return spec{ext: []string{"include"}, args: []string{"l"}, action: (*compiler).global}
	case "error":
		return spec{ext: []string{"ihave"}, args: []string{"s"}, action: (*compiler).fail}
	case "foreverypart":
		return spec{ext: []string{"foreverypart"}, tags: []tag{{":name", 's', "", ""}}, block: true, action: (*compiler).foreverypart}
	case "break":
		return spec{ext: []string{"foreverypart"}, tags: []tag{{":name", 's', "", ""}}, action: (*compiler).breakLoop}
	case "extracttext":
		return spec{ext: []string{"extracttext"}, tags: append(modifierTags(), tag{":first", 'n', "", ""}), args: []string{"s"},
			action: (*compiler).extractText}
	case "replace":
		return spec{ext: []string{"replace"}, args: []string{"s"}, action: (*compiler).replace,
			tags: []tag{{":mime", 0, "", ""}, {":subject", 's', "", ""}, {":from", 's', "", ""}}}
	case "enclose":
		return spec{ext: []string{"enclose"}, args: []string{"s"}, action: (*compiler).enclose,
			tags: []tag{{":subject", 's', "", ""}, {":headers", 'l', "", ""}}}
	}
	return spec{}
}

// filingTags are the tags that say how a message is filed.
func filingTags() []tag {
	return []tag{{":flags", 'l', "imap4flags", ""}, {":create", 0, "mailbox", ""}, {":specialuse", 's', "special-use", ""},
		{":mailboxid", 's', "mailboxid", ""}}
}

// mimeTags are the tags of RFC 5703, section 4.
func mimeTags(more ...tag) []tag {
	return append(more, tag{":mime", 0, "mime", ""}, tag{":anychild", 0, "mime", ""})
}

// testSpec says what a test is; a zero spec where it is none.
func testSpec(name string) spec {
	index := []tag{{":index", 'n', "index", ""}, {":last", 0, "index", ""}}
	parts := []tag{{":all", 0, "", "address part"}, {":localpart", 0, "", "address part"}, {":domain", 0, "", "address part"},
		{":user", 0, "subaddress", "address part"}, {":detail", 0, "subaddress", "address part"}}
	switch name {
	case "true", "false":
		return spec{check: (*compiler).always}
	case "not":
		return spec{tests: 1, check: (*compiler).not}
	case "allof", "anyof":
		return spec{tests: -1, check: (*compiler).several}
	case "size":
		return spec{tags: []tag{{":over", 0, "", "size"}, {":under", 0, "", "size"}}, args: []string{"n"}, check: (*compiler).sizeTest}
	case "exists":
		return spec{tags: mimeTags(), args: []string{"l"}, check: (*compiler).exists}
	case "header":
		return spec{args: []string{"ll"}, check: (*compiler).header, tags: append(matchTags(index...), mimeTags(
			tag{":type", 0, "mime", "mime"}, tag{":subtype", 0, "mime", "mime"}, tag{":contenttype", 0, "mime", "mime"},
			tag{":param", 'l', "mime", "mime"})...)}
	case "address":
		return spec{args: []string{"ll"}, check: (*compiler).address,
			tags: append(append(matchTags(index...), parts...), mimeTags()...)}
	case "envelope":
		return spec{ext: []string{"envelope"}, args: []string{"ll"}, check: (*compiler).envelope, tags: append(matchTags(), parts...)}
	case "body":
		return spec{ext: []string{"body"}, args: []string{"l"}, check: (*compiler).body,
			tags: matchTags(tag{":raw", 0, "", "body"}, tag{":content", 'l', "", "body"}, tag{":text", 0, "", "body"})}
	case "date":
		return spec{ext: []string{"date"}, args: []string{"ssl"}, check: (*compiler).date,
			tags: append(matchTags(index...), tag{":zone", 's', "", "zone"}, tag{":originalzone", 0, "", "zone"})}
	case "currentdate":
		return spec{ext: []string{"date"}, args: []string{"sl"}, check: (*compiler).currentDate, tags: matchTags(tag{":zone", 's', "", ""})}
	case "string":
		return spec{ext: []string{"variables"}, tags: matchTags(), args: []string{"ll"}, check: (*compiler).stringTest}
	}
	return moreTestSpec(name)
}

// moreTestSpec is testSpec for what is not about the message's text.
func moreTestSpec(name string) spec {
	switch name {
	case "hasflag":
		return spec{ext: []string{"imap4flags"}, tags: matchTags(), args: []string{"l", "ll"}, check: (*compiler).hasFlag}
	case "environment":
		return spec{ext: []string{"environment"}, tags: matchTags(), args: []string{"sl"}, check: (*compiler).environment}
	case "mailboxexists":
		return spec{ext: []string{"mailbox"}, args: []string{"l"}, check: (*compiler).mailboxExists}
	case "mailboxidexists":
		return spec{ext: []string{"mailboxid"}, args: []string{"l"}, check: (*compiler).mailboxIDExists}
	case "specialuse_exists":
		return spec{ext: []string{"special-use"}, args: []string{"l", "sl"}, check: (*compiler).specialUseExists}
	case "spamtest":
		return spec{ext: []string{"spamtest"}, tags: matchTags(tag{":percent", 0, "spamtestplus", ""}), args: []string{"s"},
			check: (*compiler).spamTest}
	case "virustest":
		return spec{ext: []string{"virustest"}, tags: matchTags(), args: []string{"s"}, check: (*compiler).virusTest}
	case "ihave":
		return spec{ext: []string{"ihave"}, args: []string{"l"}, check: (*compiler).ihave}
	case "duplicate":
		return spec{ext: []string{"duplicate"}, check: (*compiler).duplicate, tags: []tag{{":handle", 's', "", ""}, {":header", 's', "", "id"},
			{":uniqueid", 's', "", "id"}, {":seconds", 'n', "", ""}, {":last", 0, "", ""}}}
	case "valid_notify_method":
		return spec{ext: []string{"enotify"}, args: []string{"l"}, check: (*compiler).validNotifyMethod}
	case "notify_method_capability":
		return spec{ext: []string{"enotify"}, tags: matchTags(), args: []string{"ssl"}, check: (*compiler).notifyCapability}
	}
	return spec{}
}
