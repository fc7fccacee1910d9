module cellwright.local/examples/shop/server

go 1.25
