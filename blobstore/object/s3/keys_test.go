package s3

import "testing"

func TestReadKeys(t *testing.T) {
	for name, c := range map[string]struct{ file, profile, want string }{
		"two lines":        {"AKIA1\nse/cret=\n", "", "AKIA1 se/cret= "},
		"comments":         {"# mine\n\n  AKIA1  \r\n; and\nsecret", "", "AKIA1 secret "},
		"AWS":              {"[default]\naws_access_key_id = AKIA1\naws_secret_access_key = a=b/c==\n", "", "AKIA1 a=b/c== "},
		"token":            {"[default]\nAWS_ACCESS_KEY_ID=A\naws_secret_access_key=s\naws_session_token=t\nregion=x\n", "", "A s t"},
		"profile":          {"[default]\naws_access_key_id=A\naws_secret_access_key=s\n[ mail ]\naws_access_key_id=B\naws_secret_access_key=u\n", "mail", "B u "},
		"no such profile":  {"[default]\naws_access_key_id=A\naws_secret_access_key=s\n", "mail", ""},
		"no secret":        {"[default]\naws_access_key_id=A\n", "", ""},
		"one line":         {"AKIA1\n", "", ""},
		"three lines":      {"AKIA1\nsecret\nmore\n", "", ""},
		"lines in section": {"[default]\nAKIA1\nsecret\n", "", ""},
		"empty":            {"", "", ""},
	} {
		v, err := readKeys([]byte(c.file), c.profile)
		got := v.AccessKeyID + " " + v.SecretAccessKey + " " + v.SessionToken
		if (c.want == "") != (err != nil) || err == nil && got != c.want {
			t.Errorf("%s: %q, error %v; want %q", name, got, err, c.want)
		}
	}
}

func FuzzReadKeys(f *testing.F) {
	f.Add([]byte("AKIA1\nsecret\n"), "")
	f.Add([]byte("[default]\naws_access_key_id = A\naws_secret_access_key = s\n"), "default")
	f.Fuzz(func(t *testing.T, file []byte, profile string) {
		if v, err := readKeys(file, profile); err == nil && (v.AccessKeyID == "" || v.SecretAccessKey == "") {
			t.Errorf("%q gave %+v", file, v)
		}
	})
}
