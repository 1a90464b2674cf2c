package adminapi

import "context"

func (f *fake) Scripts(_ context.Context, owner string) ([]Script, error) {
	return nil, f.note("scripts %s", owner)
}
func (f *fake) Script(_ context.Context, owner, name string) (Script, error) {
	return Script{Name: name}, f.note("script %s %s", owner, name)
}
func (f *fake) PutScript(_ context.Context, owner string, s Script) error {
	return f.note("put script %s %s", owner, s.Name)
}
func (f *fake) ActivateScript(_ context.Context, owner, name string) error {
	return f.note("activate script %s %s", owner, name)
}
func (f *fake) DeleteScript(_ context.Context, owner, name string) error {
	return f.note("delete script %s %s", owner, name)
}
func (f *fake) CheckScript(_ context.Context, s Script) error {
	return f.note("check script %s", s.Text)
}
