// go-sse: its Server with Joe, its own provider. Publishes by a timer inside: prints its port, begins when it is sent a
// line, and prints the seconds that it took.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/tmaxmax/go-sse"
)

// Go has no monotonic time that other programs could compare with theirs.
func monotonic() int64 {
	var at syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&at)), 0)
	return at.Nano()
}

func main() {
	rate, _ := strconv.Atoi(os.Args[1])
	count, _ := strconv.Atoi(os.Args[2])
	size, _ := strconv.Atoi(os.Args[3])
	server := &sse.Server{OnSession: func(w http.ResponseWriter, _ *http.Request) ([]string, bool) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, ": open\n\n")
		w.(sse.ResponseWriter).Flush()
		return []string{"bench"}, true
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, server)
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	bufio.NewReader(os.Stdin).ReadString('\n')

	began := time.Now()
	for n := 0; n < count; n++ {
		time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(rate))))
		data := fmt.Sprintf("n=%d;t=%d;", n, monotonic())
		message := &sse.Message{ID: sse.ID(fmt.Sprintf("reference-%d", n)), Type: sse.Type("tick")}
		message.AppendData(data + strings.Repeat("x", size-len(data)))
		if err := server.Publish(message, "bench"); err != nil {
			panic(err)
		}
	}
	fmt.Printf("{\"seconds\":%f}\n", time.Since(began).Seconds())
	select {}
}
