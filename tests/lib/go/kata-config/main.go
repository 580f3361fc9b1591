// SPDX-License-Identifier: Apache-2.0

// kata-config CONFIG KEY...: what a program that decodes as Kata's Go runtime does, with the library that it uses, makes of CONFIG and of
// config.d beside it.  KEYs are the fields that its structure for a hypervisor has; all values are printed as JSON.
//
// A file is decoded over what was there.  That empties the structures in maps, so of [hypervisor.X] and [agent.X] each key that a drop-in
// has is then copied by itself, and one that the structure does not have is an error.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"github.com/BurntSushi/toml"
)

// structure has a field for each of keys, with its name as a tag.
func structure(keys []string) reflect.Type {
	var fields []reflect.StructField
	for i, key := range keys {
		fields = append(fields, reflect.StructField{
			Name: fmt.Sprintf("F%d", i),
			Type: reflect.TypeOf((*any)(nil)).Elem(),
			Tag:  reflect.StructTag(fmt.Sprintf("toml:%q", key)),
		})
	}
	return reflect.StructOf(fields)
}

func field(v reflect.Value, key string) (reflect.Value, bool) {
	for i := 0; i < v.NumField(); i++ {
		if v.Type().Field(i).Tag.Get("toml") == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

type config struct {
	hypervisors reflect.Value // of a map
	runtime     map[string]any
}

func decode(path string, kind reflect.Type, into *config) (toml.MetaData, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return toml.MetaData{}, err
	}
	whole := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "Hypervisor", Type: reflect.MapOf(reflect.TypeOf(""), kind), Tag: `toml:"hypervisor"`},
		{Name: "Runtime", Type: reflect.TypeOf(map[string]any{}), Tag: `toml:"runtime"`},
	}))
	md, err := toml.Decode(string(data), whole.Interface())
	into.hypervisors = whole.Elem().Field(0)
	for k, v := range whole.Elem().Field(1).Interface().(map[string]any) {
		into.runtime[k] = v
	}
	return md, err
}

func load(path string, kind reflect.Type) (config, error) {
	c := config{runtime: map[string]any{}}
	if _, err := decode(path, kind, &c); err != nil {
		return c, err
	}
	dir := filepath.Join(filepath.Dir(path), "config.d")
	files, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return c, err
	}
	for _, file := range files {
		dropin := config{runtime: c.runtime}
		md, err := decode(filepath.Join(dir, file.Name()), kind, &dropin)
		if err != nil {
			return c, fmt.Errorf("%s: %w", file.Name(), err)
		}
		for _, key := range md.Keys() {
			if len(key) < 3 || key[0] != "hypervisor" {
				continue
			}
			name := reflect.ValueOf(key[1])
			target := reflect.New(kind).Elem()
			if old := c.hypervisors.MapIndex(name); old.IsValid() {
				target.Set(old)
			}
			source := dropin.hypervisors.MapIndex(name)
			from, there := field(source, key[2])
			if !there {
				return c, fmt.Errorf("%s: no field for key %q", file.Name(), key[2])
			}
			to, _ := field(target, key[2])
			to.Set(from)
			c.hypervisors.SetMapIndex(name, target)
		}
	}
	return c, nil
}

func main() {
	real, err := filepath.EvalSymlinks(os.Args[1])
	if err == nil {
		var c config
		kind := structure(os.Args[2:])
		if c, err = load(real, kind); err == nil {
			qemu := c.hypervisors.MapIndex(reflect.ValueOf("qemu"))
			out := map[string]any{"runtime": c.runtime}
			values := map[string]any{}
			for i := 0; i < kind.NumField(); i++ {
				values[os.Args[2+i]] = qemu.Field(i).Interface()
			}
			out["hypervisor"] = values
			err = json.NewEncoder(os.Stdout).Encode(out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
