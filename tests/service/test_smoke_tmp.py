def test_x(standing):
    v=standing.visitor("caseworker")
    for p in ("/","/cases",f"/cases/{standing.cases[1].id}","/cases?lang=en","/accessibility","/feedback","/nowhere"):
        a=v.get(p); print(p,a.status)
    s=standing.visitor("supervisor"); s.get("/records"); s.get("/verify"); 
    a=standing.visitor("applicant"); print(a.get("/application").status, a.get("/application?lang=ar").status)
    print([ (c.case_ref,c.unit) for c in standing.cases])
