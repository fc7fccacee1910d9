package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
)

// note appends a line to a file. The image has no shell, so this is what init containers and hooks can run:
// `program note FILE TEXT`.
func note(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("note needs a file and a text")
	}
	file, err := os.OpenFile(arguments[0], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(arguments[1] + "\n")
	return errors.Join(err, file.Close())
}

// file answers with a file below SHOP_FILES: what a container finds in its volumes, for instance.
func (s *service) file(response http.ResponseWriter, request *http.Request) {
	// Cleaned as an absolute path, it cannot lead out of the directory.
	content, err := os.ReadFile(filepath.Join(s.settings.files, filepath.Clean("/"+request.PathValue("file"))))
	if err != nil {
		http.Error(response, err.Error(), http.StatusNotFound)
		return
	}
	response.Header().Set("Content-Type", "text/plain; charset=utf-8")
	response.Write(content)
}
