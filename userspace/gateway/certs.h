/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `openshell-gateway generate-certs`: a CA of this gateway's own, its certificate, one for its
 * administrator and one for a supervisor, each with its key (EC P-256), 0600. What is there is
 * never overwritten.
 */
#pragma once

int certs_main(int argc, char **argv);
