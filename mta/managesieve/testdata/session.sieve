# A user keeps scripts.
C: LISTSCRIPTS
C: AUTHENTICATE "PLAIN" "AGFkYUBleGFtcGxlLm9yZwB3cm9uZw=="
C: AUTHENTICATE "PLAIN" "AGFkYUBleGFtcGxlLm9yZwB4eXp6eQ=="
C: CAPABILITY
C: NOOP "a tag"
C: NOOP
C: LISTSCRIPTS
C: HAVESPACE "main" 100
C: HAVESPACE "main" 501
C: CHECKSCRIPT "keep"
C: CHECKSCRIPT "keep;"
C: PUTSCRIPT "main" {20+}
C: if true {
C:  keep;
C: }
C: PUTSCRIPT "bad" "fileinto \"x\";"
C: PUTSCRIPT "minority" "keep;"
C: PUTSCRIPT "" "keep;"
C: SETACTIVE "main"
C: SETACTIVE "other"
C: LISTSCRIPTS
C: GETSCRIPT "main"
C: GETSCRIPT "other"
C: DELETESCRIPT "main"
C: RENAMESCRIPT "main" "Büro"
C: RENAMESCRIPT "main" "x"
C: LISTSCRIPTS
C: PUTSCRIPT "x"
C: FROBNICATE
C: SETACTIVE ""
C: UNAUTHENTICATE
C: LISTSCRIPTS
C: LOGOUT
S: "IMPLEMENTATION" "Rookery test"
S: "SASL" "PLAIN"
S: "SIEVE" "fileinto vacation"
S: "NOTIFY" "mailto"
S: "MAXREDIRECTS" "4"
S: "UNAUTHENTICATE"
S: "VERSION" "1.0"
S: OK
S: NO "Log in first"
S: NO "Wrong user name or password"
S: OK "Welcome"
S: "IMPLEMENTATION" "Rookery test"
S: "SASL" ""
S: "SIEVE" "fileinto vacation"
S: "NOTIFY" "mailto"
S: "MAXREDIRECTS" "4"
S: "UNAUTHENTICATE"
S: "OWNER" "ada@example.org"
S: "VERSION" "1.0"
S: OK
S: OK (TAG "a tag") "Done"
S: OK "Done"
S: OK
S: OK
S: NO (QUOTA/MAXSIZE) "The script is too large"
S: NO "line 1, column 5: the end of the script where a ';' or a block in braces ends the command keep"
S: OK
S: OK
S: NO "line 1, column 1: fileinto needs: require \"fileinto\""
S: NO (TRYLATER) "This cannot be done now, try again later"
S: NO "This is not a name of a script"
S: OK
S: NO (NONEXISTENT) "There is no such script"
S: "main" ACTIVE
S: OK
S: {20}
S: if true {
S:  keep;
S: }
S: OK
S: NO (NONEXISTENT) "There is no such script"
S: NO (ACTIVE) "The script is active"
S: OK
S: NO (NONEXISTENT) "There is no such script"
S: "Büro"
S: OK
S: NO "Syntax: PUTSCRIPT name script"
S: NO "No such command"
S: OK
S: OK
S: NO "Log in first"
S: OK "Goodbye"
