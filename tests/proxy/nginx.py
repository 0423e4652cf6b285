# SPDX-License-Identifier: Apache-2.0
"""Configuration of the nginx that serves the proxy suite's files: static ones over TLS and h2,
uploads, a package registry and an index of Python packages, and certificates that are no good."""

CONFIG = """
daemon off;
master_process off;
pid %(dir)s/nginx.pid;
error_log %(dir)s/nginx.err warn;
events { worker_connections 16384; }
http {
	types { text/html html; application/json json; }
	default_type application/octet-stream;
	sendfile on;
	tcp_nopush on;
	client_max_body_size 0;
	client_body_temp_path %(dir)s/nginx-body;
	proxy_temp_path %(dir)s/nginx-proxy;
	fastcgi_temp_path %(dir)s/nginx-fastcgi;
	uwsgi_temp_path %(dir)s/nginx-uwsgi;
	scgi_temp_path %(dir)s/nginx-scgi;
	keepalive_requests 1000000;
	log_format seen escape=json '{"host": "$host", "what": "request", "method": "$request_method",'
		' "url": "$request_uri", "version": "$server_protocol", "bytes": "$request_length",'
		' "status": "$status", "connection": "$connection",'
		' "headers": {"authorization": "$http_authorization", "x-key": "$http_x_key"}}';
	access_log %(dir)s/seen/nginx.log seen;
	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_certificate %(dir)s/server.pem;
	ssl_certificate_key %(dir)s/server.pem;
	server {
		listen %(address)s:80;
		listen %(address)s:443 ssl http2;
		server_name static.svc.test old.svc.test;
		root %(dir)s/files;
		# Uploads: what is PUT is kept under its name.
		location /up/ {
			dav_methods PUT DELETE;
			create_full_put_path on;
		}
	}
	server {
		listen %(address)s:443 ssl;
		server_name npm.svc.test;
		root %(dir)s/npm;
		location / {
			default_type application/json;
			# Publishing works, and changes nothing.
			if ($request_method = PUT) {
				return 201 "{}";
			}
			try_files $uri $uri.json =404;
		}
	}
	server {
		listen %(address)s:443 ssl http2;
		server_name pip.svc.test;
		root %(dir)s/pip;
		index index.html;
	}
	server {
		listen %(address)s:443 ssl;
		server_name tls12.svc.test;
		ssl_protocols TLSv1.2;
		root %(dir)s/files;
	}
%(bad)s
}
"""

BAD = """
	server {
		listen %(address)s:443 ssl;
		server_name %(name)s.svc.test;
		ssl_certificate %(dir)s/%(name)s.pem;
		ssl_certificate_key %(dir)s/%(name)s.pem;
		root %(dir)s/files;
	}
"""


def config(folder, address, bad):
    """@bad: names of certificates, which are the first labels of servers' names as well."""
    return CONFIG % {
        "dir": folder,
        "address": address,
        "bad": "".join(BAD % {"dir": folder, "address": address, "name": name} for name in bad),
    }
