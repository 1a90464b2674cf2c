package harness

import "strings"

// people write the corpus.
var people = []struct{ name, address string }{
	{"Ada Lovelace", "ada.lovelace@sender.example"},
	{"Jürgen Müller", "juergen.mueller@sender.example"},
	{"Παναγιώτης Νικολάου", "panos@sender.example"},
	{"山田 花子", "hanako.yamada@sender.example"},
	{"Zoë O'Brien", "zoe+lists@sender.example"},
	{"Иван Петров", "ivan.petrov@sender.example"},
	{"Newsletter of the Faculty of Mathematics", "news-bounces@lists.sender.example"},
}

// languages are the words of running text.
var languages = [][]string{
	strings.Fields("the meeting about our new machine is moved to Thursday please bring the figures of last month and tell everybody who waits for an answer that tea will be served at four in the small library"),
	strings.Fields("die Sitzung über den Haushalt fällt morgen aus weil Frau Größling krank ist wir müssen daher nächste Woche früher anfangen bitte schicken Sie mir die Übersicht mit schönen Grüßen"),
	strings.Fields("η σύσκεψη για τον προϋπολογισμό αναβάλλεται μέχρι την επόμενη εβδομάδα παρακαλώ στείλτε τα στοιχεία"),
	strings.Fields("会議 は 木曜日 に 変更 に なりました 資料 を お持ち ください よろしく お願い します"),
	strings.Fields("заседание переносится на четверг пожалуйста пришлите отчёт за прошлый месяц всем участникам"),
}
