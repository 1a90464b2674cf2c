// Package bayespb holds the generated codecs of what is learnt of unwanted mail: stored records and commands. The schema
// and its comments are in bayes.proto.
package bayespb

//go:generate protoc -I. --go_out=. --go_opt=paths=source_relative --go-vtproto_out=. --go-vtproto_opt=paths=source_relative,features=marshal+unmarshal+size bayes.proto
